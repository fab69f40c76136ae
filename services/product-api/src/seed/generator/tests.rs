//! Properties of the seeded catalogue, tested without a database.

use std::collections::HashSet;

use super::super::catalogue::Catalogue;
use super::super::vocabulary::Vocabulary;
use super::*;

const SAMPLE: std::ops::RangeInclusive<i64> = 1..=20_000;

fn fits_the_tables(product: &Product) -> bool {
    let Product { name, description, price_cents, stock, category_id, .. } = product;
    (1..=200).contains(&name.chars().count())
        && (20..=5_000).contains(&description.chars().count())
        && (100..=100_000).contains(price_cents)
        && (0..=1_000).contains(stock)
        && (1..=12).contains(category_id)
}

#[test]
fn an_id_always_gives_the_same_product() {
    // Known results: they fail if a change would assign other products to the ids of a filled database.
    let cases = [
        (121, "Marrowstone Sturdy Galvanised Steel Spade, Natural", 4_390, 6),
        (2_000, "Hobblebush Tall Cast Iron Window Box, Natural", 5_299, 108),
        (100_000, "Stonebeck Traditional Forged Steel Hand Plane, Dark", 11_599, 21),
    ];
    for (id, name, price_cents, stock) in cases {
        let product = product(id);
        assert_eq!((product.name.as_str(), product.price_cents, product.stock), (name, price_cents, stock), "{id}");
        assert_eq!(product, super::product(id));
    }
}

#[test]
fn products_121_to_2000_are_those_of_earlier_versions() {
    let texts = (121..=2_000).map(|id| format!("{:?}", product(id)));
    // FNV-1a.
    let fingerprint = texts
        .flat_map(String::into_bytes)
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    assert_eq!(fingerprint, 0x0169_6d75_dda7_02ee);
}

#[test]
fn every_product_fits_the_tables() {
    let catalogue = Catalogue::read().expect("the file is compiled in");
    for id in SAMPLE {
        let product = catalogue.product(id);
        assert!(product.id == id && fits_the_tables(&product), "{product:?}");
        assert!(!product.description.contains(['{', '}']), "a gap was left open: {product:?}");
    }
}

#[test]
fn generated_catalogue_has_plausible_proportions() {
    let products: Vec<_> = SAMPLE.map(product).collect();
    let share = |test: fn(&Product) -> bool| products.iter().filter(|p| test(p)).count() * 100 / products.len();
    assert!((4..=10).contains(&share(|p| p.stock == 0)), "sold out");
    assert!((20..=60).contains(&share(|p| p.price_cents < 4_000)), "cheap");
    assert!((2..=20).contains(&share(|p| p.price_cents > 20_000)), "dear");
    assert_eq!(share(|p| p.featured), 0);
    for category in 1..=12 {
        let here = products.iter().filter(|p| p.category_id == category).count();
        assert!((1_200..=2_200).contains(&here), "category {category} has {here}");
    }
    let names: HashSet<_> = products.iter().map(|p| &p.name).collect();
    assert!(names.len() * 100 > products.len() * 95, "only {} names", names.len());
}

#[test]
fn vocabulary_lists_are_long_enough_and_unique() {
    let Vocabulary { lists, shelves, .. } = &*VOCABULARY;
    for (index, shelf) in shelves.iter().enumerate() {
        let (variants, openings) = (&lists[&shelf.variants], &lists[&shelf.openings]);
        for list in [&shelf.qualities, &shelf.materials, variants, openings, &shelf.uses, &shelf.details] {
            assert!(list.len() >= 4, "shelf {index}");
            assert_eq!(list.iter().collect::<HashSet<_>>().len(), list.len(), "shelf {index}: {list:?}");
        }
        assert!(shelf.things.iter().all(|(_, low, high)| (1..*high).contains(low)), "shelf {index}");
    }
}

#[test]
fn hand_written_catalogue_is_complete() {
    let Catalogue { categories, written } = Catalogue::read().expect("the file is compiled in");
    let ids: Vec<i64> = categories.iter().map(|category| category.id).collect();
    assert_eq!(ids, (1..=12).collect::<Vec<_>>());
    assert!(ids.iter().all(|id| VOCABULARY.shelves.iter().any(|shelf| shelf.category_id == *id)));
    assert!((1..=120).all(|id| written.contains_key(&id)) && written.len() == 120);
    assert!(written.values().all(fits_the_tables));
    assert_eq!(written.values().filter(|product| product.featured).count(), 12);
    assert_eq!(written.values().map(|product| &product.name).collect::<HashSet<_>>().len(), 120);
}
