//! Second half of the events demo: one write and the cache of every service, a change in psql, and a subscriber that
//! was stopped when the event was published.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use client::Source;
use client::times::{Times, human};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::claim::Verdict;
use crate::context::DemoContext;
use crate::demo_product::DemoProduct;
use crate::other_services::OtherServices;

/// Upper limit in milliseconds, even on a busy machine.
const LATEST: f64 = 1_000.0;
const ROUNDS: usize = 10;
/// Maximum time until a started service serves the current state.
const CATCH_UP: Duration = Duration::from_secs(10);

/// Runs this half of the demo on the product of `subject`.
pub(crate) async fn run(context: &mut DemoContext, subject: &DemoProduct) -> Result<()> {
    let others = OtherServices::of(&subject.product, context.shop.base(), &context.other_services).await?;
    one_write(context, subject, &others).await?;
    psql(context, subject, &others).await?;
    absent(context, subject, &others).await
}

async fn one_write(context: &mut DemoContext, subject: &DemoProduct, others: &OtherServices) -> Result<()> {
    let say = context.say;
    say.step(
        "The caches of four services hold the same product. After one write, each service invalidates its own entry.",
    );
    let mut delays: Vec<Vec<f64>> = vec![Vec::new(); others.responses.len()];
    for round in 0..ROUNDS {
        others.warm().await?;
        let written = subject.write().await?;
        let gone = others.gone(Instant::now()).await?;
        if round == 0 {
            say.write(&written, "");
            for (response, (service, ms)) in others.responses.iter().zip(&gone) {
                say.note(&format!(
                    "{service:<15} {:<28} gone {} after the response",
                    shortened(&response.key),
                    human(*ms)
                ));
            }
        }
        for (all, (_, ms)) in delays.iter_mut().zip(gone) {
            all.push(ms);
        }
    }
    for (response, delays) in others.responses.iter().zip(delays) {
        let delays: Times = delays.into_iter().collect();
        context.claim(
            format!("{}: from response to invalidation (median / max of {ROUNDS})", response.service),
            format!("{:.1} / {}", delays.median(), human(delays.max())),
            Verdict::at_most(LATEST, delays.max()),
        );
    }
    Ok(())
}

async fn psql(context: &mut DemoContext, subject: &DemoProduct, others: &OtherServices) -> Result<()> {
    let say = context.say;
    say.step("The price changes in psql, without any service. The trigger writes the event in the same transaction.");
    others.warm().await?;
    let price = subject.product.price_cents + 4_242;
    let sql = format!("UPDATE products SET price_cents = {price} WHERE id = {}", subject.product.id);
    say.note(&sql);
    context.stack.psql(&sql).await?;
    let gone = others.gone(Instant::now()).await?;
    let (cart, status) = others.cart().await?;
    say.note(&format!("the cart now says {} ({status})", price_in(&cart)?));
    let slowest = gone.iter().map(|(_, ms)| *ms).fold(0.0, f64::max);
    context.claim("psql: gone from all four services", human(slowest), Verdict::at_most(LATEST, slowest));
    context.claim(
        "psql: the cart shows the new price",
        price_in(&cart)?.to_string(),
        Verdict::equal(price, price_in(&cart)?),
    );
    Ok(())
}

/// Stops the cart, changes the product and starts the cart: once on Pub/Sub, once on the stream.
async fn absent(context: &mut DemoContext, subject: &DemoProduct, others: &OtherServices) -> Result<()> {
    let say = context.say;
    say.step(
        "The cart service uses plain Pub/Sub, and is stopped while the price changes. Pub/Sub does not keep the event.",
    );
    let cart = context.stack.borrow("cart");
    cart.start(&["EVENTS__TRANSPORT=pubsub"]).await?;
    others.warm().await?;
    cart.stop().await?;
    let written = subject.write().await?;
    cart.start(&["EVENTS__TRANSPORT=pubsub"]).await?;
    let (view, status) = others.cart().await?;
    let (old, new) = (price_in(&view)?, price_of(&written.body)?);
    say.write(&written, "while the cart was stopped");
    say.note(&format!("the cart says {old} ({status}), the catalogue {new}"));
    context.claim(
        "Pub/Sub: the event published meanwhile is lost",
        format!("{old} instead of {new}, until its TTL"),
        Verdict::that(old != new && Source::parse(&status).is_cached(), "a stale hit", format!("{old}, {status}")),
    );

    say.step("The cart service uses the stream again and continues where its group stopped reading.");
    cart.give_back().await?;
    let began = Instant::now();
    until_price(others, new).await?;
    context.claim(
        "the stream: missed events are applied",
        human(client::times::millis(began.elapsed())),
        Verdict::Holds,
    );

    say.step("The same again, this time with the stream throughout.");
    others.warm().await?;
    let cart = context.stack.borrow("cart");
    cart.stop().await?;
    let written = subject.write().await?;
    cart.give_back().await?;
    let (began, new) = (Instant::now(), price_of(&written.body)?);
    until_price(others, new).await?;
    say.note(&format!("the cart says {new}, {} after its start", human(client::times::millis(began.elapsed()))));
    context.claim("the stream: nothing is lost", format!("{new} after the start"), Verdict::Holds);
    Ok(())
}

async fn until_price(others: &OtherServices, price: i64) -> Result<()> {
    let began = Instant::now();
    loop {
        let (view, status) = others.cart().await?;
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
