//! Lists as a client reads them.

use serde_json::Value;

/// Returns the ids of `kind` in a response, in order.
#[track_caller]
pub(crate) fn ids(list: &Value, kind: &str) -> Vec<i64> {
    let items = list[kind].as_array().unwrap_or_else(|| panic!("no {kind} in {list}"));
    items.iter().map(|item| item["product_id"].as_i64().expect("an id")).collect()
}

pub(crate) fn item(list: &Value, product: i64) -> Option<Value> {
    let mut items = ["bought_together", "similar"].into_iter().filter_map(|kind| list[kind].as_array()).flatten();
    items.find(|item| item["product_id"] == product).cloned()
}
