//! Reads with a consistency token: what they cost the service that knows the position of a write.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::Duration;

use actix_web::{HttpResponse, web};
use futures_util::future::join_all;
use outbox::log::EventLog;
use service::consistency::{AppliedEvents, AppliedWrites};

use crate::support::{settings, start};

/// The questions in progress, the most so far, and all of them.
type Counts = Arc<[AtomicUsize; 3]>;

#[derive(Clone)]
struct NothingApplied;

impl AppliedEvents for NothingApplied {
    async fn applied(&self, _: u64, _: Duration) -> bool {
        false
    }
}

/// The events of these writes have no number yet, so each question is repeated. Each is a query of the other service's database.
#[tokio::test]
async fn many_tokens_ask_few_questions_at_once() {
    let counts = Counts::default();
    let has_given_up = Arc::new(AtomicBool::new(false));
    let (asked, given_up) = (Arc::clone(&counts), Arc::clone(&has_given_up));
    let server = start(&settings(), move |cfg| {
        let (counts, has_given_up) = (Arc::clone(&asked), Arc::clone(&given_up));
        let position = move || {
            let (counts, has_given_up) = (Arc::clone(&counts), Arc::clone(&has_given_up));
            async move {
                let [now, most, all] = &*counts;
                let at_once = now.fetch_add(1, SeqCst) + 1;
                // A reader that gives up leaves its question to the server.
                if !has_given_up.load(SeqCst) {
                    most.fetch_max(at_once, SeqCst);
                }
                all.fetch_add(1, SeqCst);
                tokio::time::sleep(Duration::from_millis(5)).await;
                now.fetch_sub(1, SeqCst);
                HttpResponse::Ok().json(serde_json::json!({ "seq": null }))
            }
        };
        cfg.route("/events/position", web::get().to(position));
    });
    let applied = AppliedWrites::new(EventLog::new(&server.url(""), reqwest::Client::new()), NothingApplied);
    let read = async |token: u64| {
        let included = applied.include(Some(token.into()), Duration::from_secs(1)).await;
        has_given_up.store(true, SeqCst);
        included
    };
    let included = join_all((0..200).map(read)).await;
    assert!(included.iter().all(|included| !included));
    let [_, most, all] = &*counts;
    assert!((1..=16).contains(&most.load(SeqCst)), "{most:?} questions at once, {all:?} in all");
}
