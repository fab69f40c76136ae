//! Computes a view from lines and product data. It uses no store and no clock, so a table of cases tests it.

use std::collections::HashMap;

use super::model::{Availability, LOW_STOCK, PriceChange, Totals, View, ViewLine};
use crate::carts::{Cart, Line};
use crate::facts::{ProductFields, ProductInfo, State};

impl View {
    /// Returns the cart with the prices of `infos`. A product that is missing in `infos` is unknown.
    pub fn of(cart: &Cart, infos: &HashMap<i64, ProductInfo>) -> Self {
        let price = |line: &Line| match infos.get(&line.product_id) {
            Some(info) => ViewLine::of(line, info),
            None => ViewLine::of(line, &ProductInfo::unknown()),
        };
        let lines: Vec<ViewLine> = cart.lines.iter().map(price).collect();
        let (totals, stale) = (Totals::of(&lines), lines.iter().any(|line| line.stale));
        Self { id: cart.head.id, created_at: cart.head.created_at, lines, totals, stale }
    }
}

impl ViewLine {
    fn of(line: &Line, info: &ProductInfo) -> Self {
        let (facts, availability) = match &info.product {
            State::Sold(facts) => (Some(facts), available(facts.stock, line.quantity)),
            State::Gone(facts) => (facts.as_ref(), Availability::NoLongerSold),
            State::Unknown => (None, Availability::Unknown),
        };
        let buyable = match (&info.product, availability) {
            (State::Sold(facts), _) => facts.stock.clamp(0, line.quantity),
            _ => 0,
        };
        let price_cents = facts.map(|facts| facts.price_cents);
        let line_total_cents = match price_cents {
            Some(price) => price.checked_mul(i64::from(buyable)),
            None => Some(0),
        };
        Self {
            product_id: line.product_id,
            name: facts.map(|facts: &ProductFields| facts.name.clone()),
            quantity: line.quantity,
            price_cents,
            added_price_cents: line.added_price_cents,
            price_changed: price_cents
                .filter(|now| *now != line.added_price_cents)
                .map(|to| PriceChange { from: line.added_price_cents, to }),
            availability,
            buyable,
            line_total_cents,
            product_version: facts.map(|facts| facts.version),
            version: line.version,
            stale: info.stale,
        }
    }
}

impl Totals {
    fn of(lines: &[ViewLine]) -> Self {
        Self {
            lines: lines.iter().filter(|line| line.buyable > 0).count(),
            pieces: lines.iter().map(|line| i64::from(line.buyable)).sum(),
            total_cents: lines.iter().try_fold(0_i64, |sum, line| sum.checked_add(line.line_total_cents?)),
        }
    }
}

fn available(stock: i32, wanted: i32) -> Availability {
    match stock {
        ..=0 => Availability::SoldOut,
        left if left <= LOW_STOCK || left < wanted => Availability::OnlyLeft { left },
        _ => Availability::InStock,
    }
}

#[cfg(test)]
mod tests;
