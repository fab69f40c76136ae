//! Generates products by number: an id always gives the same product, in any build.
//!
//! A product depends only on its id, not on the number of products, so 2,000 products are the first 2,000 of 100,000.
//! All values stay within the bounds of the tables and the API.

use super::catalogue::Product;
use super::vocabulary::{Shelf, VOCABULARY};

/// Returns the product with this catalogue id.
pub(super) fn product(id: i64) -> Product {
    let mut dice = Dice::new(id);
    let shelf = dice.pick(&VOCABULARY.shelves);
    let quality = dice.pick(&shelf.qualities);
    let material = dice.pick(&shelf.materials);
    let (thing, low, high) = dice.pick(&shelf.things);
    let series = dice.pick(&VOCABULARY.series);
    let variant = dice.pick(&VOCABULARY.lists[&shelf.variants]);
    Product {
        id,
        category_id: shelf.category_id,
        name: format!("{series} {} {} {}, {variant}", title(quality), title(material), title(thing)),
        description: describe(&mut dice, shelf, quality, material, thing),
        price_cents: price(&mut dice, *low, *high),
        stock: stock(&mut dice),
        // The featured products are chosen by hand.
        featured: false,
    }
}

fn describe(dice: &mut Dice, shelf: &Shelf, quality: &str, material: &str, thing: &str) -> String {
    let mut text = dice.pick(&VOCABULARY.lists[&shelf.openings]).clone();
    for (gap, word) in [("quality", quality), ("material", material), ("thing", thing)] {
        text = text
            .replace(&format!("{{{gap}}}"), word)
            .replace(&format!("{{a {gap}}}"), &with_article(word))
            .replace(&format!("{{A {gap}}}"), &capital(&with_article(word)))
            .replace(&format!("{{{}}}", capital(gap)), &capital(word));
    }
    text = text.replace("{use}", dice.pick(&shelf.uses).as_str());
    for (sentences, chance) in [(&shelf.details, 80), (&VOCABULARY.closings, 40)] {
        if dice.below(100) < chance {
            text.push(' ');
            text.push_str(dice.pick(sentences).as_str());
        }
    }
    text
}

/// Returns a price between the two prices, more often near the lower one, with an ending that is usual in shops.
fn price(dice: &mut Dice, low: u64, high: u64) -> i64 {
    let span = high - low;
    let whole = low + dice.below(span).min(dice.below(span));
    let ending = dice.pick(&[0, 50, 90, 95, 95, 99, 99]);
    (whole * 100 + ending) as i64
}

/// Returns a stock: one in fourteen is sold out, and a few are large.
fn stock(dice: &mut Dice) -> i32 {
    let pieces = match dice.below(14) {
        0 => 0,
        1 => 150 + dice.below(350),
        _ => 1 + dice.below(120),
    };
    pieces as i32
}

fn with_article(words: &str) -> String {
    let article = if words.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {words}")
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn title(text: &str) -> String {
    let small = |word: &str| matches!(word, "of" | "and" | "for");
    let words = text.split(' ').map(|word| if small(word) { word.to_owned() } else { capital(word) });
    words.collect::<Vec<_>>().join(" ")
}

/// SplitMix64. It is written out, because the generator of a crate may change with its next version, and every product
/// with it.
struct Dice(u64);

impl Dice {
    fn new(id: i64) -> Self {
        Self(id.unsigned_abs())
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number from 0 to `bound - 1`.
    fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound.max(1)
    }

    /// Returns an element of the list. The list must not be empty; the vocabulary's test checks this.
    fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests;
