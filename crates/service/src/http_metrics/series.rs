//! The histograms of one worker, each registered once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use metrics::{Histogram, histogram};

/// The name of the histogram that the middleware fills.
pub(crate) const DURATION: &str = "http_request_duration_seconds";

/// The series that a worker has used, by route; within a route by method and status class.
#[derive(Debug, Default)]
pub(super) struct Series(RefCell<HashMap<String, Box<BySlot>>>);

type BySlot = [[Option<Handle>; 5]; METHODS.len() + 1];

/// Methods with their own series; all others share `other`, or a client could create series.
const METHODS: [Method; 7] =
    [Method::GET, Method::PUT, Method::POST, Method::DELETE, Method::PATCH, Method::HEAD, Method::OPTIONS];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

impl Series {
    pub(super) fn record(&self, route: &str, method: &Method, status: StatusCode, took: Duration) {
        let (slot, class) = place(method, status);
        let mut routes = self.0.borrow_mut();
        match routes.get(route).and_then(|slots| slots[slot][class].as_ref()) {
            Some(Handle(histogram)) => histogram.record(took),
            None => {
                let histogram = resolve(route, slot, class);
                histogram.record(took);
                routes.entry(route.to_owned()).or_default()[slot][class] = Some(Handle(histogram));
            }
        }
    }
}

/// Records a request outside the middleware of a worker. The series is looked up, so this is for rare requests.
pub(super) fn record_once(route: &str, method: &Method, status: StatusCode, took: Duration) {
    let (slot, class) = place(method, status);
    resolve(route, slot, class).record(took);
}

/// Returns the indexes of a method and of a status class.
fn place(method: &Method, status: StatusCode) -> (usize, usize) {
    let slot = METHODS.iter().position(|known| known == method).unwrap_or(METHODS.len());
    (slot, usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1)
}

fn resolve(route: &str, slot: usize, class: usize) -> Histogram {
    let method = METHODS.get(slot).map_or("other", Method::as_str).to_owned();
    histogram!(DURATION, "route" => route.to_owned(), "method" => method, "status" => CLASSES[class])
}

/// The handle of a histogram, which has no useful `Debug`.
struct Handle(Histogram);

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handle")
    }
}
