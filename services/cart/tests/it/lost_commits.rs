//! The connection to Postgres breaks during a COMMIT: the view must not hide a committed write.

use testkit::{PostgresFault, PostgresProxy, eventually};

use crate::support::{CartOf, Fake, SOON, Stores};

#[tokio::test]
async fn view_is_removed_when_the_reply_to_a_commit_is_lost() {
    let stores = Stores::start().await;
    let fake = Fake::start(2).await;
    let proxy = PostgresProxy::to(stores.database.url()).await.expect("a proxy to the database");
    let service = stores.cart_with(fake.url(), &[("POSTGRES__URL", proxy.url())]).await;
    let cart = CartOf::with(&service, &[1]).await;
    stores.until_published().await;
    // Only the writer can remove the view.
    stores.sql("ALTER TABLE cart_items DISABLE TRIGGER cart_items_announce_insert").await;
    stores.sql("ALTER TABLE cart_items DISABLE TRIGGER cart_items_announce_update").await;

    cart.cached().await;
    proxy.set(PostgresFault::LoseCommitReplies);
    cart.put(1, 7).await.problem(503, "unavailable");
    proxy.set(PostgresFault::Pass);
    assert_eq!(cart.line(1).await["quantity"], 7);

    cart.cached().await;
    proxy.set(PostgresFault::LoseCommitReplies);
    cart.remove(1).await.problem(503, "unavailable");
    proxy.set(PostgresFault::Pass);
    assert!(cart.line(1).await.is_null());
}

/// Postgres has not read the COMMIT yet, and a reader stores the old view in between.
#[tokio::test]
async fn view_is_removed_again_after_a_late_commit_on_a_lost_connection() {
    let stores = Stores::start().await;
    let fake = Fake::start(1).await;
    let proxy = PostgresProxy::to(stores.database.url()).await.expect("a proxy to the database");
    let settings = [("POSTGRES__URL", proxy.url()), ("POSTGRES__STATEMENT_TIMEOUT", "6s")];
    let service = stores.cart_with(fake.url(), &settings).await;
    let cart = CartOf::with(&service, &[1]).await;
    stores.until_published().await;
    stores.sql("ALTER TABLE cart_items DISABLE TRIGGER cart_items_announce_update").await;

    proxy.set(PostgresFault::DelayCommits);
    cart.put(1, 7).await.problem(503, "unavailable");
    assert_eq!(cart.cached().await.json()["lines"][0]["quantity"], 1, "it was committed too early");
    proxy.set(PostgresFault::Pass);
    let quantity = "SELECT quantity FROM cart_items WHERE product_id = 1";
    eventually("the commit", SOON, async || stores.sql(quantity).await == "7").await;
    eventually("the second invalidation", 3 * SOON, async || cart.line(1).await["quantity"] == 7).await;
}
