//! Tests of `eventually`.

use std::future::pending;
use std::time::Duration;

use testkit::eventually;
use tokio::time::timeout;

#[tokio::test]
async fn eventually_polls_until_the_condition_is_true() {
    let mut asked = 0;
    eventually("three questions", Duration::from_secs(5), async || {
        asked += 1;
        asked == 3
    })
    .await;
    assert_eq!(asked, 3);
    assert_eq!(eventually("a value", Duration::from_secs(5), async || Some(7)).await, 7);
}

#[tokio::test]
#[should_panic(expected = "waited in vain for Godot: asked")]
async fn eventually_panics_with_the_name_of_the_condition() {
    eventually("Godot", Duration::from_millis(30), async || false).await;
}

#[tokio::test]
#[should_panic(expected = "waited in vain for an answer: attempt 1 had no answer")]
async fn eventually_times_out_on_a_hanging_condition() {
    let waiting = eventually("an answer", Duration::from_millis(30), async || pending::<bool>().await);
    timeout(Duration::from_secs(20), waiting).await.expect("it goes on waiting");
}
