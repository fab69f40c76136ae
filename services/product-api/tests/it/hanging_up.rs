//! Clients that disconnect: what is committed is invalidated nevertheless.

use serde_json::json;
use testkit::eventually;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::{Api, SOON, Stores};

/// Sends a request and resets the connection before the response, while `stores` hold up its COMMIT.
async fn hang_up_in_the_middle_of(stores: &Stores, api: &Api, request: &str) {
    let mut client = TcpStream::connect(api.address()).await.expect("it listens");
    client.write_all(request.as_bytes()).await.expect("a request");
    stores.until_waiting(1).await;
    client.set_zero_linger().expect("a socket option");
    drop(client);
    // There is one worker, and it has seen the reset before it responds to these.
    for _ in 0..5 {
        api.get("/livez").await.expect(200);
    }
}

/// If the write were cancelled with its client, its COMMIT would be left to Postgres and the old entry to its TTL.
#[tokio::test]
async fn a_client_that_hangs_up_during_the_commit_leaves_no_stale_entry() {
    let stores = Stores::start().await;
    let api = stores.api_with(&[("HTTP__WORKERS", "1")]).await;
    // A COMMIT that takes as long as the test needs.
    stores
        .sql(
            "CREATE FUNCTION hold_up() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NULL; END $$;
             CREATE CONSTRAINT TRIGGER hold_up AFTER UPDATE OR DELETE ON products
             DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hold_up();",
        )
        .await;
    let body = json!({ "stock": 4711 }).to_string();
    let put = format!(
        "PUT /products/explicit/1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let delete = "DELETE /products/explicit/2 HTTP/1.1\r\nHost: x\r\n\r\n".to_owned();
    for (id, request, committed) in [(1, put, "stock = 4711"), (2, delete, "false")] {
        let read = api.get(&format!("/products/explicit/{id}")).await.expect(200);
        assert_eq!(read.source(), "fwd=miss; stored");
        let held = stores.hold_commits(4711).await;
        hang_up_in_the_middle_of(&stores, &api, &request).await;
        held.release().await;
        let pending = format!("SELECT count(*) FROM products WHERE id = {id} AND NOT ({committed})");
        eventually("the commit", SOON, async || stores.sql(&pending).await == "0").await;
        eventually("the invalidation", SOON, async || !stores.has_entry(&format!("product:explicit:{id}")).await).await;
    }
}
