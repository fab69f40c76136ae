//! What a program sees of each fault.
#![expect(clippy::unwrap_used, reason = "in a test, a failed step is a failed test")]

use std::time::Duration;

use cache::outcome::{Bypass, Fill, FillRefusal};
use cache::{Cache, CacheClient, Outcome, Policy};
use cache_testkit::TestMemory;
use tokio::sync::oneshot;

const MINUTE: Duration = Duration::from_secs(60);
const DOWN: Outcome = Outcome::Bypass(Bypass::RedisDown);
const STORED: Outcome = Outcome::Miss(Fill::Stored);

fn posts(memory: &TestMemory) -> (CacheClient, Cache<u32>) {
    let client = memory.client("blog");
    let posts = client.cache("post", Policy::ttl(MINUTE)).unwrap();
    (client, posts)
}

async fn read(posts: &Cache<u32>, value: u32) -> (Option<u32>, Outcome) {
    let read = posts.read(1, move || async move { Ok::<_, std::io::Error>(value) }).await.unwrap();
    (read.value().unwrap(), read.outcome())
}

#[tokio::test]
async fn time_passes_only_when_it_is_advanced() {
    let memory = TestMemory::new();
    let (_client, posts) = posts(&memory);
    assert_eq!(read(&posts, 1).await, (Some(1), STORED));
    memory.advance(MINUTE - Duration::from_millis(1));
    assert_eq!(read(&posts, 2).await, (Some(1), Outcome::Hit));
    memory.advance(Duration::from_millis(1));
    assert_eq!(read(&posts, 2).await, (Some(2), STORED));
}

#[tokio::test]
async fn deferred_invalidation_reaches_the_other_process_after_each_fault() {
    type Begin = fn(&TestMemory);
    let faults: [(&str, Begin); 3] =
        [("fail", TestMemory::fail), ("hang", TestMemory::hang), ("slow", |memory| memory.slow(MINUTE))];
    for (name, begin) in faults {
        let memory = TestMemory::new();
        let ((client, posts), (other, same_posts)) = (posts(&memory), posts(&memory));
        read(&same_posts, 1).await;
        begin(&memory);
        assert_eq!(read(&posts, 2).await, (Some(2), DOWN), "{name}");
        assert!(posts.invalidate(1).await.acknowledged().is_err(), "{name}");
        memory.recover();
        memory.until_recovered(&client).await;
        memory.until_recovered(&other).await;
        assert_eq!(read(&same_posts, 2).await, (Some(2), STORED), "{name}");
    }
}

#[tokio::test]
async fn load_in_flight_is_not_stored_after_the_memory_was_emptied() {
    let memory = TestMemory::new();
    let (_client, posts) = posts(&memory);
    let ((begin, began), (finish, finished)) = (oneshot::channel(), oneshot::channel::<()>());
    let gate = std::sync::Mutex::new(Some((begin, finished)));
    let load = move || {
        let (begin, finished) = gate.lock().unwrap().take().unwrap();
        async move {
            begin.send(()).unwrap();
            finished.await.unwrap();
            Ok::<_, std::io::Error>(1)
        }
    };
    let reading = tokio::spawn({
        let posts = posts.clone();
        async move { posts.read(1, load).await.unwrap().outcome() }
    });
    began.await.unwrap();
    memory.empty();
    finish.send(()).unwrap();
    assert_eq!(reading.await.unwrap(), Outcome::Miss(Fill::Refused(FillRefusal::LeaseLost)));
}

#[tokio::test]
async fn removed_entry_of_a_dump_is_never_returned() {
    let memory = TestMemory::new();
    let (client, posts) = posts(&memory);
    read(&posts, 1).await;
    let dump = memory.dump();
    assert_eq!(posts.invalidate(1).await.acknowledged(), Ok(1));
    memory.restart_from(&dump);
    assert_eq!(read(&posts, 2).await.0, Some(2));
    memory.until_recovered(&client).await;
    assert_eq!(read(&posts, 2).await.0, Some(2));
}
