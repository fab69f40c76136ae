//! How a test waits.

use std::future::pending;
use std::time::Duration;

use testkit::eventually;
use tokio::time::timeout;

#[tokio::test]
async fn it_asks_until_the_answer_is_yes() {
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
async fn it_says_what_did_not_come() {
    eventually("Godot", Duration::from_millis(30), async || false).await;
}

#[tokio::test]
#[should_panic(expected = "waited in vain for an answer: attempt 1 had no answer")]
async fn it_does_not_wait_for_a_question_that_hangs() {
    let waiting = eventually("an answer", Duration::from_millis(30), async || pending::<bool>().await);
    timeout(Duration::from_secs(20), waiting).await.expect("it goes on waiting");
}
