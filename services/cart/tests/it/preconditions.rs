//! `If-Match` and `If-None-Match` on a line hold under concurrency, and the view's `ETag` changes with everything that
//! the view shows.

use reqwest::Method;
use serde_json::json;
use testkit::eventually;

use crate::support::{CartOf, SOON, Service, TestResponse, started};

async fn put_if(cart: &CartOf<'_>, header: &str, condition: &str, quantity: i64) -> TestResponse {
    let request = cart.service.request(Method::PUT, &cart.item(1)).header(header, condition);
    Service::send(request.json(&json!({ "quantity": quantity }))).await
}

async fn remove_if(cart: &CartOf<'_>, condition: &str) -> TestResponse {
    Service::send(cart.service.request(Method::DELETE, &cart.item(1)).header("if-match", condition)).await
}

#[tokio::test]
async fn line_write_requires_the_current_version() {
    let (_stores, _fake, service) = started(1).await;
    let cart = CartOf::at(&service).await;
    put_if(&cart, "if-match", "*", 2).await.problem(412, "precondition-failed");
    let first = put_if(&cart, "if-none-match", "*", 2).await.expect(201).header("etag").to_owned();
    put_if(&cart, "if-none-match", "*", 3).await.problem(412, "precondition-failed");
    for malformed in ["1", "\"1", ""] {
        put_if(&cart, "if-match", malformed, 3).await.problem(400, "malformed");
    }
    let second = put_if(&cart, "if-match", &first, 3).await.expect(200).header("etag").to_owned();
    let problem = put_if(&cart, "if-match", &first, 4).await.problem(412, "precondition-failed");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(&second)), "{problem}");
    assert_eq!(cart.line(1).await["quantity"], 3, "a refused write changes nothing");

    remove_if(&cart, &first).await.problem(412, "precondition-failed");
    remove_if(&cart, &second).await.expect(204);
    // The version keeps counting, so a version from before the removal never matches again.
    remove_if(&cart, &second).await.problem(412, "precondition-failed");
    put_if(&cart, "if-match", &second, 5).await.problem(412, "precondition-failed");
    put_if(&cart, "if-none-match", "*", 5).await.expect(201);
    put_if(&cart, "if-match", &second, 6).await.problem(412, "precondition-failed");
}

/// Of many writers that all saw the same version of a line, exactly one may write, in every round.
#[tokio::test]
async fn if_match_lets_one_of_many_writers_of_a_line_through() {
    let (_stores, _fake, service) = started(1).await;
    let cart = CartOf::at(&service).await;
    let mut tag = cart.put(1, 1).await.expect(201).header("etag").to_owned();
    for round in 1..=5 {
        let writes = (0..8).map(|writer| put_if(&cart, "if-match", &tag, 10 * round + writer));
        let answers = futures_util::future::join_all(writes).await;
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 412).count(), 7, "{statuses:?}");
        let won = answers.iter().find(|answer| answer.status == 200).expect("one writer wins");
        assert_eq!(cart.line(1).await["quantity"], won.json()["quantity"], "the others have changed nothing");
        won.header("etag").clone_into(&mut tag);
    }
}

#[tokio::test]
async fn if_match_lets_one_of_many_deletes_of_a_line_through() {
    let (_stores, _fake, service) = started(1).await;
    let cart = CartOf::at(&service).await;
    let tag = cart.put(1, 1).await.expect(201).header("etag").to_owned();
    let deletes = (0..8).map(|_| remove_if(&cart, &tag));
    let statuses: Vec<u16> = futures_util::future::join_all(deletes).await.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 204).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [204, 404, 412].contains(status)), "{statuses:?}");
}

#[tokio::test]
async fn etag_of_a_view_changes_with_everything_that_it_shows() {
    let (stores, fake, service) = started(1).await;
    let cart = CartOf::with(&service, &[1]).await;
    let first = cart.cached().await;
    assert_eq!(first.header("cache-control"), "private, no-store");

    fake.set_product(1, 2, &json!({ "name": "Another name" }));
    fake.publish(&stores.redis, "product.updated", 1, 2).await;
    let renamed = eventually("the new name", SOON, async || {
        let view = cart.view().await.expect(200);
        (view.text().contains("Another name")).then_some(view)
    })
    .await;
    assert_ne!(renamed.header("etag"), first.header("etag"));
    let known =
        async |tag: &str| Service::send(service.request(Method::GET, &cart.path()).header("if-none-match", tag)).await;
    known(first.header("etag")).await.expect(200);
    let unchanged = known(renamed.header("etag")).await.expect(304);
    assert_eq!((unchanged.header("etag"), unchanged.body.len()), (renamed.header("etag"), 0));

    // A view that is marked as stale is another representation than the same view without the mark.
    fake.set_unavailable(true);
    stores.redis(&["FLUSHALL"]).await;
    let stale = eventually("a stale view", SOON, async || {
        let view = cart.view().await.expect(200);
        (view.json()["stale"] == true).then_some(view)
    })
    .await;
    assert_ne!(stale.header("etag"), renamed.header("etag"));
}
