//! An event log over HTTP that can be unavailable, and can have pruned events.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use outbox::log::EventLog;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use uuid::Uuid;

/// A request for events after such a number is a request for the number of the newest event.
const HEAD_ONLY: u64 = 1 << 62;

/// The server, which ends when this value is dropped.
pub(crate) struct Log {
    url: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    events: BTreeMap<u64, Value>,
    forgotten: u64,
    away: bool,
    asked: u64,
    epochs: BTreeMap<u64, Uuid>,
}

impl Log {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::<Mutex<State>>::default();
        let task = tokio::spawn({
            let state = Arc::clone(&state);
            async move {
                while let Ok((connection, _)) = listener.accept().await {
                    let _ = answer(connection, &state).await;
                }
            }
        });
        Self { url, state, task }
    }

    pub(crate) fn client(&self) -> EventLog {
        EventLog::new(&self.url, reqwest::Client::builder().no_proxy().build().unwrap())
    }

    pub(crate) fn add(&self, seq: u64, event: Value) {
        self.state.lock().unwrap().events.insert(seq, event);
    }

    /// Turns it into the log of another database, which has no events yet.
    pub(crate) fn clear(&self) {
        self.state.lock().unwrap().events.clear();
    }

    pub(crate) fn begin(&self, first: u64, epoch: Uuid) {
        self.state.lock().unwrap().epochs.insert(first, epoch);
    }

    /// Restores the database to this number: later events are lost.
    pub(crate) fn restore(&self, seq: u64) {
        let mut state = self.state.lock().unwrap();
        state.events.split_off(&(seq + 1));
        state.epochs.split_off(&(seq + 1));
    }

    /// Makes the log respond with 503, or normally again.
    pub(crate) fn away(&self, away: bool) {
        self.state.lock().unwrap().away = away;
    }

    /// Prunes the events up to this number.
    pub(crate) fn forget(&self, seq: u64) {
        self.state.lock().unwrap().forgotten = seq;
    }

    /// Returns all events as the arguments of a script that appends them.
    pub(crate) fn entries(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state.events.iter().flat_map(|(seq, event)| [format!("{seq}-0"), event.to_string()]).collect()
    }

    /// Returns the number of requests for events, without the requests for the newest number.
    pub(crate) fn asked(&self) -> u64 {
        self.state.lock().unwrap().asked
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(mut connection: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let (read, mut write) = connection.split();
    let mut lines = BufReader::new(read).lines();
    let request = lines.next_line().await?.unwrap_or_default();
    while lines.next_line().await?.is_some_and(|line| !line.is_empty()) {}
    if request.is_empty() {
        // The client gave up before it sent the request.
        return Ok(());
    }
    let parameter = |name: &str| -> u64 {
        let (_, rest) = request.split_once(&format!("{name}=")).unwrap();
        rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
    };
    let epoch = request.split_once("epoch=").map(|(_, rest)| rest[..36].parse().unwrap());
    let (status, body) = page(&mut state.lock().unwrap(), parameter("after"), epoch, parameter("limit"));
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    write.write_all(answer.as_bytes()).await
}

fn page(state: &mut State, after: u64, epoch: Option<Uuid>, limit: u64) -> (&'static str, String) {
    if after < HEAD_ONLY {
        state.asked += 1;
    }
    if state.away {
        return ("503 Service Unavailable", String::new());
    }
    let head = state.events.keys().next_back().copied().unwrap_or(0);
    if let Some(epoch) = epoch {
        let first = state.epochs.iter().find(|(_, known)| **known == epoch).map(|(first, _)| *first);
        let next = first.and_then(|first| state.epochs.range(first + 1..).next());
        if first.is_none() || after > next.map_or(head, |(next, _)| next - 1) {
            return ("409 Conflict", String::new());
        }
    }
    if after < state.forgotten {
        return ("410 Gone", String::new());
    }
    let events: Vec<&Value> = state.events.range(after + 1..).take(limit as usize).map(|(_, event)| event).collect();
    let epoch = state.epochs.values().next_back();
    ("200 OK", json!({ "events": events, "head": head, "epoch": epoch }).to_string())
}
