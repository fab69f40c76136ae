//! The relay's task: it connects to Postgres and to Redis, and runs the worker until it is stopped.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use metrics::gauge;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::health::RelayFailure;
use super::hook::RelayHook;
use super::session;
use super::worker::{Worker, pause};

pub(super) async fn run<H: RelayHook>(worker: Worker<H>, postgres: String, stop: CancellationToken) {
    let stream = &worker.pipeline.stream;
    tokio::select! {
        () = relay(&worker, postgres, &stop) => {}
        () = stream.reconnect_when_silent() => {}
    }
    stream.close().await;
}

async fn relay<H: RelayHook>(worker: &Worker<H>, postgres: String, stop: &CancellationToken) {
    let (stream, health) = (&worker.pipeline.stream, &worker.pipeline.health);
    let wake = Arc::new(Notify::new());
    let listening = tokio::spawn(session::listen(postgres.clone(), Arc::clone(&wake), stop.clone()));
    let mut connections = stream.connections();
    stream.connect();
    let connected = gauge!("relay_connected", "stream" => stream.source.stream);
    while !stop.is_cancelled() {
        connected.set(0.0);
        let (what, error) = match session::connect(&postgres).await {
            Ok(mut connection) => {
                connected.set(1.0);
                let work = worker.work(&mut connection, &mut connections, &wake, stop);
                // A panic in the hook is a bug in this program, but it must not stop the events.
                match AssertUnwindSafe(work).catch_unwind().await {
                    Ok(Ok(())) => break,
                    Ok(Err(error)) => (RelayFailure::Outbox, error),
                    Err(_) => (RelayFailure::Invalidation, "it panicked; the panic was logged".to_owned()),
                }
            }
            Err(error) => (RelayFailure::Outbox, error.to_string()),
        };
        pause(health.failed(what, error), stop).await;
    }
    connected.set(0.0);
    // The same token ends this task.
    let _ = listening.await;
}
