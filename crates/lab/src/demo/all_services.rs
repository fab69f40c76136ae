//! Second half of the events demo: one write and the cache of every service, a change in psql, and a subscriber that
//! was stopped when the event was published.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::claim::Verdict;
use super::context::DemoContext;
use super::demo_product::DemoProduct;
use super::other_services::OtherServices;
use super::times::{Times, human};

/// Upper limit in milliseconds, even on a busy machine.
const LATEST: f64 = 1_000.0;
const ROUNDS: usize = 10;
/// Maximum time until a started service serves the current state.
const CATCH_UP: Duration = Duration::from_secs(10);

/// Runs this half of the demo on the product of `subject`.
pub(super) async fn run(stage: &mut DemoContext, subject: &DemoProduct) -> Result<()> {
    let neighbours = OtherServices::of(&subject.product, stage.shop.base(), &stage.neighbours).await?;
    one_write(stage, subject, &neighbours).await?;
    psql(stage, subject, &neighbours).await?;
    absent(stage, subject, &neighbours).await
}

async fn one_write(stage: &mut DemoContext, subject: &DemoProduct, neighbours: &OtherServices) -> Result<()> {
    let say = stage.say;
    say.step(
        "The caches of four services hold the same product. After one write, each service invalidates its own entry.",
    );
    let mut delays: Vec<Vec<f64>> = vec![Vec::new(); neighbours.places.len()];
    for round in 0..ROUNDS {
        neighbours.warm().await?;
        let written = subject.write().await?;
        let gone = neighbours.gone(Instant::now()).await?;
        if round == 0 {
            say.write(&written, "");
            for (place, (service, ms)) in neighbours.places.iter().zip(&gone) {
                say.note(&format!(
                    "{service:<15} {:<28} gone {} after the response",
                    shortened(&place.key),
                    human(*ms)
                ));
            }
        }
        for (all, (_, ms)) in delays.iter_mut().zip(gone) {
            all.push(ms);
        }
    }
    for (place, delays) in neighbours.places.iter().zip(delays) {
        let delays: Times = delays.into_iter().collect();
        stage.claim(
            format!("{}: from response to invalidation (median / max of {ROUNDS})", place.name),
            format!("{:.1} / {}", delays.median(), human(delays.max())),
            Verdict::at_most(LATEST, delays.max()),
        );
    }
    Ok(())
}

async fn psql(stage: &mut DemoContext, subject: &DemoProduct, neighbours: &OtherServices) -> Result<()> {
    let say = stage.say;
    say.step("The price changes in psql, without any service. The trigger writes the event in the same transaction.");
    neighbours.warm().await?;
    let price = subject.product.price_cents + 4_242;
    let sql = format!("UPDATE products SET price_cents = {price} WHERE id = {}", subject.product.id);
    say.note(&sql);
    stage.stack.psql(&sql).await?;
    let gone = neighbours.gone(Instant::now()).await?;
    let (cart, status) = neighbours.cart().await?;
    say.note(&format!("the cart now says {} ({status})", price_in(&cart)?));
    let slowest = gone.iter().map(|(_, ms)| *ms).fold(0.0, f64::max);
    stage.claim("psql: gone from all four services", human(slowest), Verdict::at_most(LATEST, slowest));
    stage.claim(
        "psql: the cart shows the new price",
        price_in(&cart)?.to_string(),
        Verdict::equal(price, price_in(&cart)?),
    );
    Ok(())
}

/// Stops the cart, changes the product and starts the cart: once on Pub/Sub, once on the stream.
async fn absent(stage: &mut DemoContext, subject: &DemoProduct, neighbours: &OtherServices) -> Result<()> {
    let say = stage.say;
    say.step(
        "The cart service uses plain Pub/Sub, and is stopped while the price changes. Pub/Sub does not keep the event.",
    );
    let cart = stage.stack.borrow("cart");
    cart.start(&["EVENTS__TRANSPORT=pubsub"]).await?;
    neighbours.warm().await?;
    cart.stop().await?;
    let written = subject.write().await?;
    cart.start(&["EVENTS__TRANSPORT=pubsub"]).await?;
    let (view, status) = neighbours.cart().await?;
    let (old, new) = (price_in(&view)?, price_of(&written.body)?);
    say.write(&written, "while the cart was stopped");
    say.note(&format!("the cart says {old} ({status}), the catalogue {new}"));
    stage.claim(
        "Pub/Sub: the event published meanwhile is lost",
        format!("{old} instead of {new}, until its TTL"),
        Verdict::that(old != new && status.contains("hit"), "a stale hit", format!("{old}, {status}")),
    );

    say.step("The cart service uses the stream again and continues where its group stopped reading.");
    cart.give_back().await?;
    let began = Instant::now();
    until_price(neighbours, new).await?;
    stage.claim("the stream: missed events are applied", human(super::times::millis(began.elapsed())), Verdict::Holds);

    say.step("The same again, this time with the stream throughout.");
    neighbours.warm().await?;
    let cart = stage.stack.borrow("cart");
    cart.stop().await?;
    let written = subject.write().await?;
    cart.give_back().await?;
    let (began, new) = (Instant::now(), price_of(&written.body)?);
    until_price(neighbours, new).await?;
    say.note(&format!("the cart says {new}, {} after its start", human(super::times::millis(began.elapsed()))));
    stage.claim("the stream: nothing is lost", format!("{new} after the start"), Verdict::Holds);
    Ok(())
}

async fn until_price(neighbours: &OtherServices, price: i64) -> Result<()> {
    let began = Instant::now();
    loop {
        let (view, status) = neighbours.cart().await?;
        if price_in(&view)? == price {
            return Ok(());
        }
        ensure!(began.elapsed() < CATCH_UP, "the cart still says {} ({status}), not {price}", price_in(&view)?);
        sleep(Duration::from_millis(5)).await;
    }
}

fn price_in(cart: &Value) -> Result<i64> {
    cart["lines"][0]["price_cents"].as_i64().with_context(|| format!("a cart with one line: {cart}"))
}

fn price_of(product: &Value) -> Result<i64> {
    product["price_cents"].as_i64().with_context(|| json!({ "not a product": product }).to_string())
}

fn shortened(key: &str) -> String {
    if key.len() <= 28 { key.to_owned() } else { format!("{}…", &key[..27]) }
}
