//! A log of events over HTTP, which can be away, and can have forgotten.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use events::log::EventLog;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The server; it ends with this.
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

    /// It is the log of another database, which has no events yet.
    pub(crate) fn clear(&self) {
        self.state.lock().unwrap().events.clear();
    }

    /// It answers 503 from now on, or no more.
    pub(crate) fn away(&self, away: bool) {
        self.state.lock().unwrap().away = away;
    }

    /// It no longer has the events up to this one.
    pub(crate) fn forget(&self, seq: u64) {
        self.state.lock().unwrap().forgotten = seq;
    }

    /// How often it was asked.
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
    let parameter = |name: &str| -> u64 {
        let (_, rest) = request.split_once(&format!("{name}=")).unwrap();
        rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
    };
    let (status, body) = page(&mut state.lock().unwrap(), parameter("after"), parameter("limit"));
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    write.write_all(answer.as_bytes()).await
}

fn page(state: &mut State, after: u64, limit: u64) -> (&'static str, String) {
    state.asked += 1;
    if state.away {
        return ("503 Service Unavailable", String::new());
    }
    if after < state.forgotten {
        return ("410 Gone", String::new());
    }
    let events: Vec<&Value> = state.events.range(after + 1..).take(limit as usize).map(|(_, event)| event).collect();
    let head = state.events.keys().next_back().copied().unwrap_or(0);
    ("200 OK", json!({ "events": events, "head": head }).to_string())
}
