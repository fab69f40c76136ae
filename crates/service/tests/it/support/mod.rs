//! A server in this process on a free port, and raw HTTP requests to it.
#![allow(dead_code, reason = "each test file uses its part")]

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use actix_web::web;
use service::StandardRoutes;
use service::docs::Docs;
use service::health::Readiness;
use service::server::{self, HttpSettings};
use service::telemetry::Metrics;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A running server. Dropping it stops it at once.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) task: JoinHandle<io::Result<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn settings() -> HttpSettings {
    HttpSettings { workers: 1, ..HttpSettings::default() }
}

/// Serves `configure` and no other routes.
pub(crate) fn start<F>(settings: &HttpSettings, configure: F) -> Running
where
    F: Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
{
    let listener = settings.bind().unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let (settings, token) = (settings.clone(), shutdown.clone());
    let task = tokio::spawn(async move { server::serve(listener, &settings, token, configure).await });
    Running { address, shutdown, task }
}

/// Returns the standard routes with `readiness`.
pub(crate) fn standard(readiness: Readiness) -> StandardRoutes {
    let mut openapi = utoipa::openapi::OpenApi::default();
    openapi.info.title = "a test".to_owned();
    StandardRoutes { readiness, metrics: Metrics::install().unwrap(), docs: Docs::new(&openapi).unwrap() }
}

impl Running {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let response = reqwest::get(self.url(path)).await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    pub(crate) async fn ended(&mut self) -> io::Result<()> {
        tokio::time::timeout(TIMEOUT, &mut self.task).await.expect("it ends").unwrap()
    }
}

/// Long enough for a busy machine. If a server never responds, the test fails instead of hanging.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Sends `request` and reads until the server closes the connection.
pub(crate) async fn exchange(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(TIMEOUT, stream.read_to_string(&mut answer)).await.expect("an answer").unwrap();
    answer
}
