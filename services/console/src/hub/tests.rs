//! What a page receives: when it opens, when it resumes, and when it cannot follow.

use super::*;
use crate::record::WriteRecord;

const QUIET: Duration = Duration::from_millis(1);

async fn next(page: &mut Subscription) -> (String, String) {
    let message = page.next(&CancellationToken::new(), QUIET).await.expect("it is not stopped");
    let (id, data) =
        message.strip_prefix("id: ").and_then(|rest| rest.split_once("\ndata: ")).unwrap_or(("", &message));
    (id.to_owned(), data.trim_end().to_owned())
}

fn write(at_ms: u64, id: &str) -> Record {
    Record::Write(WriteRecord {
        at_ms,
        id: id.to_owned(),
        cause: "price",
        strategy: Some("ttl"),
        product_id: Some(1),
        version: Some(2),
        commit_ms: Some(at_ms),
        acknowledged_ms: at_ms,
        status: 200,
        detail: None,
        token: None,
    })
}

#[tokio::test]
async fn page_starts_with_what_became_of_the_latest_change() {
    let hub = Hub::default();
    hub.emit(&write(10_000, "earlier"));
    hub.emit(&Record::Published { at_ms: 10_001, event: "earlier".into() });
    hub.emit(&write(20_000, "first"));
    hub.note("between");
    hub.emit(&write(20_500, "second"));
    hub.emit(&Record::Published { at_ms: 20_501, event: "event".into() });
    let (_, first) = next(&mut hub.subscribe(None).unwrap()).await;
    let places = ["\"first\"", "\"second\"", "\"event\""].map(|part| first.find(part));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{first}");
    assert!(!first.contains("earlier") && !first.contains("between"), "{first}");
}

#[tokio::test]
async fn page_resumes_at_its_id_and_a_foreign_id_starts_with_a_snapshot() {
    let hub = Hub::default();
    hub.emit(&Record::Truth { at_ms: 1, rows: Vec::new() });
    hub.note("before");
    let mut page = hub.subscribe(None).unwrap();
    let (id, first) = next(&mut page).await;
    assert!(first.contains(r#""kind":"hello""#) && first.contains(r#""resumed":false"#), "{first}");
    assert!(first.contains(r#""kind":"truth""#) && !first.contains("before"), "{first}");
    drop(page);
    hub.note("in between");
    let mut page = hub.subscribe(Some(&id)).unwrap();
    let (_, resumed) = next(&mut page).await;
    assert!(resumed.contains(r#""resumed":true"#) && resumed.contains("in between"), "{resumed}");
    assert!(!resumed.contains("truth"), "{resumed}");
    assert_eq!(next(&mut page).await.1, ": alive");
    let (_, anew) = next(&mut hub.subscribe(Some("00000000-0")).unwrap()).await;
    assert!(anew.contains(r#""resumed":false"#), "{anew}");
}

#[tokio::test]
async fn slow_page_receives_a_snapshot_instead_of_a_gap() {
    let hub = Hub::default();
    let mut page = hub.subscribe(None).unwrap();
    next(&mut page).await;
    for _ in 0..=CAPACITY {
        hub.note("more");
    }
    assert!(next(&mut page).await.1.contains(r#""resumed":false"#));
    assert_eq!(hub.state().recent.len(), CAPACITY, "the buffer is bounded");
}

#[tokio::test]
async fn number_of_pages_is_limited_and_a_closed_page_makes_room() {
    let hub = Hub::default();
    let mut pages: Vec<_> = (0..VIEWERS).map(|_| hub.subscribe(None).unwrap()).collect();
    assert!(hub.subscribe(None).is_none());
    pages.pop();
    assert!(hub.subscribe(None).is_some());
}
