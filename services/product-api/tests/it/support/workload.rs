//! Many readers and a few writers of one product, whose results are recorded in a ledger.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use reqwest::Method;
use tokio::sync::{Barrier, mpsc};
use tokio::task::JoinSet;

use super::ledger::{self, Read, Write};
use super::{Api, Ledger, Service, TestResponse};

/// The longest pause of a client between two requests.
const PAUSE: Duration = Duration::from_millis(30);

/// The clients of a workload, and their product.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    pub(crate) strategy: &'static str,
    pub(crate) id: i64,
    pub(crate) readers: usize,
    pub(crate) writers: usize,
}

/// A running workload.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<()>,
    seen: mpsc::UnboundedReceiver<Seen>,
    ledger: Ledger,
}

enum Seen {
    Read(Read),
    Write(Write),
    Failure(String),
}

impl Workload {
    /// Starts all readers and writers at once, distributed over `apis`.
    pub(crate) async fn start(self, apis: &[Arc<Api>]) -> Load {
        let base = apis[0].get(&format!("/products/{}", self.id)).await.expect(200).version();
        let path: Arc<str> = format!("/products/{}/{}", self.strategy, self.id).into();
        let stop = Arc::new(AtomicBool::new(false));
        let together = Arc::new(Barrier::new(self.readers + self.writers));
        let next = Arc::new(AtomicI64::new(1_000));
        let (sender, seen) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        for number in 0..self.readers + self.writers {
            let api = Arc::clone(&apis[number % apis.len()]);
            let (path, stop, next) = (Arc::clone(&path), Arc::clone(&stop), Arc::clone(&next));
            let (together, sender) = (Arc::clone(&together), sender.clone());
            tasks.spawn(async move {
                together.wait().await;
                while !stop.load(SeqCst) {
                    let seen = match number < self.readers {
                        true => read(&api, &path).await,
                        false => write(&api, &path, next.fetch_add(1, SeqCst)).await,
                    };
                    if sender.send(seen).is_err() {
                        return;
                    }
                    // Half of the readers continue at once. The others may arrive at any time, including during a load
                    // that began before the last write.
                    if number >= self.readers || number & 2 == 0 {
                        tokio::time::sleep(rand::random_range(Duration::ZERO..PAUSE)).await;
                    }
                }
            });
        }
        Load { stop, tasks, seen, ledger: Ledger { base, ..Ledger::default() } }
    }
}

impl Load {
    pub(crate) fn so_far(&mut self) -> &Ledger {
        while let Ok(seen) = self.seen.try_recv() {
            match seen {
                Seen::Read(read) => self.ledger.reads.push(read),
                Seen::Write(write) => self.ledger.writes.push(write),
                Seen::Failure(what) => self.ledger.failures.push(what),
            }
        }
        &self.ledger
    }

    /// Lets all clients finish their requests, and returns the result.
    pub(crate) async fn finish(mut self) -> Ledger {
        self.stop.store(true, SeqCst);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("no reader and no writer panics");
        }
        self.so_far();
        self.ledger
    }
}

async fn read(api: &Api, path: &str) -> Seen {
    let begin = Instant::now();
    let answer = Service::try_send(api.request(Method::GET, path)).await;
    let end = Instant::now();
    match answer {
        Ok(answer) if answer.status == 200 => {
            let product = answer.json();
            let version = answer.version();
            let tag = answer.header("etag");
            assert!(tag.starts_with(&format!("\"{version}-")), "header and body are of one version: {tag}");
            Seen::Read(Read {
                begin,
                end,
                version,
                content: ledger::content(&product),
                source: answer.source().to_owned(),
            })
        }
        other => failure(path, begin, other),
    }
}

async fn write(api: &Api, path: &str, content: i64) -> Seen {
    let begin = Instant::now();
    let answer = Service::try_send(api.request(Method::PUT, path).json(&ledger::fields(content))).await;
    let end = Instant::now();
    match answer {
        Ok(answer) if answer.status == 200 => {
            let deferred = answer.source().ends_with("detail=deferred");
            Seen::Write(Write { begin, end, version: answer.version(), content, deferred })
        }
        other => failure(path, begin, other),
    }
}

fn failure(path: &str, begin: Instant, answer: reqwest::Result<TestResponse>) -> Seen {
    let what = match answer {
        Ok(answer) => format!("{}: {}", answer.status, answer.text()),
        Err(error) => format!("{error:?}"),
    };
    Seen::Failure(format!("failed: {path} after {:?}: {what}", begin.elapsed()))
}
