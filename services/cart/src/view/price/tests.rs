//! The line for each state of its product, and the totals.

use super::*;
use crate::carts::NewCart;

fn sold(price_cents: i64, stock: i32) -> ProductInfo {
    ProductInfo::fresh(State::Sold(ProductFields { name: "A".to_owned(), price_cents, stock, version: 3 }))
}

fn gone(price_cents: i64) -> ProductInfo {
    ProductInfo::fresh(State::Gone(Some(ProductFields { name: "A".to_owned(), price_cents, stock: 9, version: 3 })))
}

/// Returns a cart with so many pieces of each product, all added at 100 cents.
fn view(lines: &[(i32, ProductInfo)]) -> View {
    let head = NewCart { id: uuid::Uuid::nil(), created_at: chrono::DateTime::UNIX_EPOCH };
    let numbered = || (1..).zip(lines);
    let line = |(product_id, (quantity, _)): (i64, &(i32, ProductInfo))| Line {
        product_id,
        quantity: *quantity,
        added_price_cents: 100,
        version: 1,
    };
    let cart = Cart { head, lines: numbered().map(line).collect() };
    View::of(&cart, &numbered().map(|(id, (_, info))| (id, info.clone())).collect())
}

#[test]
fn line_shows_and_counts_only_pieces_that_can_be_bought() {
    use Availability::{InStock, NoLongerSold, OnlyLeft, SoldOut, Unknown};
    for (quantity, info, availability, buyable, total) in [
        (2, sold(100, 6), InStock, 2, 200),
        (2, sold(100, 5), OnlyLeft { left: 5 }, 2, 200),
        (10, sold(100, 9), OnlyLeft { left: 9 }, 9, 900),
        (9, sold(100, 9), InStock, 9, 900),
        (1, sold(100, 0), SoldOut, 0, 0),
        (1, sold(0, 9), InStock, 1, 0),
        (1, gone(100), NoLongerSold, 0, 0),
        (1, ProductInfo::fresh(State::Gone(None)), NoLongerSold, 0, 0),
        (1, ProductInfo::unknown(), Unknown, 0, 0),
    ] {
        let view = view(&[(quantity, info.clone())]);
        let line = &view.lines[0];
        assert_eq!(
            (line.availability, line.buyable, line.line_total_cents),
            (availability, buyable, Some(total)),
            "{info:?}"
        );
        assert_eq!(
            view.totals,
            Totals { lines: usize::from(buyable > 0), pieces: i64::from(buyable), total_cents: Some(total) }
        );
        assert_eq!((line.stale, view.stale), (info.stale, info.stale));
    }
}

#[test]
fn a_change_of_price_shows_both_prices() {
    let prices = |info| view(&[(1, info)]).lines[0].price_changed;
    assert_eq!(prices(sold(100, 9)), None);
    assert_eq!(prices(sold(90, 9)), Some(PriceChange { from: 100, to: 90 }));
    assert_eq!(prices(gone(120)), Some(PriceChange { from: 100, to: 120 }));
    assert_eq!(prices(ProductInfo::unknown()), None);
}

#[test]
fn one_stale_line_makes_the_view_stale() {
    let stale = ProductInfo { stale: true, ..sold(100, 9) };
    let view = view(&[(1, sold(100, 9)), (1, stale)]);
    assert_eq!((view.lines[0].stale, view.lines[1].stale, view.stale), (false, true, true));
}

#[test]
fn amount_beyond_64_bits_is_null() {
    let half = i64::MAX / 2;
    let fits = view(&[(1, sold(half, 9)), (1, sold(half, 9))]);
    assert_eq!(fits.totals.total_cents, Some(half * 2));
    let sum = view(&[(1, sold(half, 9)), (1, sold(half, 9)), (2, sold(1, 9))]);
    assert_eq!((sum.lines[0].line_total_cents, sum.totals.total_cents), (Some(half), None));
    let product = view(&[(999, sold(half, 999)), (1, sold(1, 9))]);
    assert_eq!((product.lines[0].line_total_cents, product.totals.total_cents), (None, None));
    assert_eq!((product.totals.lines, product.totals.pieces), (2, 1_000));
}
