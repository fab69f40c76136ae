//! The tags strategy: a change of one category invalidates every entry that shows it, and no other.

use std::time::Duration;

use anyhow::{Context, Result};
use client::times::human;
use serde_json::json;

use crate::claim::Verdict;
use crate::context::DemoContext;
use crate::product_api::{Answer, Category, Product, ProductApiClient};

const LIFE: Duration = Duration::from_secs(3);
/// The suffix of a renamed category. If a run is killed, the suffix stays, and the next run removes it.
const MARK: &str = " (renamed)";

/// An entry that the demo inspects.
#[derive(Clone, Debug)]
struct Slot {
    path: String,
    key: String,
}

pub(crate) async fn run(context: &mut DemoContext) -> Result<()> {
    let [(a, of_a), (b, of_b)] = context.two_categories()?;
    let a = Category { name: a.name.trim_end_matches(MARK).to_owned(), ..a };
    context.undo_later(format!("/categories/{}", a.id), json!({"name": a.name}));
    rename(context, &a, &of_a, (&b, &of_b[0])).await?;
    name(context, &a, &a.name).await?;
    context.undo_later(Slot::product("tags", &of_a[1]).path, json!({"category_id": a.id}));
    move_product(context, (&a, &of_a[0]), (&b, &of_b[0]), &of_a[1]).await?;
    context.say.lesson(
        "One write of one row removes exactly what shows it: products of every strategy, lists, and nothing else.",
        "Memory for the tag sets, and a write that takes longer the more entries carry the tag.",
    );
    Ok(())
}

async fn rename(
    context: &mut DemoContext, a: &Category, of_a: &[Product], (b, of_b): (&Category, &Product),
) -> Result<()> {
    let say = context.say;
    say.step(&format!("Entries that show category {} ({}), and entries that do not.", a.id, a.name));
    let mut carriers: Vec<Slot> = of_a.iter().take(2).map(|product| Slot::product("tags", product)).collect();
    carriers
        .extend(["explicit", "writethrough", "events", "production"].map(|strategy| Slot::product(strategy, &of_a[0])));
    carriers.push(Slot::list(a));
    let others = ["tags", "explicit", "production"].map(|strategy| Slot::product(strategy, of_b));
    // The `swr` cache of the same product carries no tags, so an invalidation by tag does not find it.
    let others: Vec<Slot> = others.into_iter().chain([Slot::list(b), Slot::product("swr", &of_a[0])]).collect();
    let mut tagged = 0;
    for slot in carriers.iter().chain(&others) {
        let (_, entry) = context.shop.warm(&slot.path, &slot.key, LIFE).await?;
        say.redis(&slot.key, Some(&entry));
        tagged += usize::from(entry.tags.contains(&format!("category:{}", a.id)));
    }
    context.claim(
        format!("those that show category {} carry its tag", a.id),
        format!("{tagged} of {} entries", carriers.len() + others.len()),
        Verdict::equal(carriers.len(), tagged),
    );

    say.step("One write renames the category.");
    let written = name(context, a, &format!("{}{MARK}", a.name)).await?;
    say.write(&written, "PUT /categories");
    let (gone, kept) = (missing(&context.shop, &carriers).await?, missing(&context.shop, &others).await?);
    context.claim(
        "after one rename, each of them is gone",
        format!("{} of {}, the write took {}", gone.len(), carriers.len(), human(written.ms)),
        Verdict::equal(keys(&carriers), gone),
    );
    context.claim(
        "none of the others is",
        format!("{} of {} still there", others.len() - kept.len(), others.len()),
        Verdict::equal(Vec::new(), kept),
    );
    let read = context.shop.read(&carriers[0].path).await?;
    say.read(&read, "the new name");
    let shown = read.body.pointer("/category/name").and_then(|name| name.as_str()).unwrap_or_default();
    context.claim(
        "the next read shows the new name",
        human(read.ms),
        Verdict::equal(format!("{}{MARK}", a.name), shown.to_owned()),
    );
    Ok(())
}

async fn move_product(
    context: &mut DemoContext, (a, stays): (&Category, &Product), (b, other): (&Category, &Product), moving: &Product,
) -> Result<()> {
    let say = context.say;
    say.step(&format!("The name is restored. Now product {} moves from category {} to {}.", moving.id, a.id, b.id));
    let touched = vec![Slot::product("tags", moving), Slot::list(a), Slot::list(b)];
    let untouched = vec![Slot::product("tags", stays), Slot::product("tags", other)];
    for slot in touched.iter().chain(&untouched) {
        context.shop.warm(&slot.path, &slot.key, LIFE).await?;
    }
    let before = total(&context.shop.read(&touched[1].path).await?)?;
    let written = context.shop.put(&touched[0].path, &json!({"category_id": b.id})).await?;
    say.write(&written, "");
    let (gone, kept) = (missing(&context.shop, &touched).await?, missing(&context.shop, &untouched).await?);
    context.claim(
        "a move drops the product and both lists",
        format!("{} of {}", gone.len(), touched.len()),
        Verdict::equal(keys(&touched), gone),
    );
    context.claim(
        "no other product of the two categories",
        format!("{} of {} still there", untouched.len() - kept.len(), untouched.len()),
        Verdict::equal(Vec::new(), kept),
    );
    let after = context.shop.read(&touched[1].path).await?;
    say.read(&after, "the list it left");
    context.claim(
        "the list that it left is one shorter",
        format!("{before}, then {}", total(&after)?),
        Verdict::equal(before - 1, total(&after)?),
    );
    Ok(())
}

/// Renames the category, and waits until its event was applied: a late event must not remove what the next step has
/// filled.
async fn name(context: &DemoContext, category: &Category, name: &str) -> Result<Answer> {
    let events = context.shop.metrics().await?.events_applied();
    let written = context.shop.put(&format!("/categories/{}", category.id), &json!({"name": name})).await?;
    context.shop.events_applied(events + 1).await?;
    Ok(written)
}

/// Returns the keys of those `slots` that have no entry.
async fn missing(shop: &ProductApiClient, slots: &[Slot]) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    for slot in slots {
        if shop.entry(&slot.key).await?.is_none() {
            missing.push(slot.key.clone());
        }
    }
    Ok(missing)
}

fn keys(slots: &[Slot]) -> Vec<String> {
    slots.iter().map(|slot| slot.key.clone()).collect()
}

fn total(list: &Answer) -> Result<i64> {
    list.body.get("total").and_then(serde_json::Value::as_i64).context("a list without a total")
}

impl Slot {
    fn product(strategy: &str, product: &Product) -> Self {
        Self { path: format!("/products/{strategy}/{}", product.id), key: format!("product:{strategy}:{}", product.id) }
    }

    fn list(category: &Category) -> Self {
        Self {
            path: format!("/products/by-category/{}", category.id),
            key: format!("product:by-category:{}", category.id),
        }
    }
}
