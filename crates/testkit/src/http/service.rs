//! One of the project's services as a process of its own.

use std::process::Command;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

use super::TestResponse;
use crate::{ChildProcess, Exit, eventually};

/// The timeout of a start, and a third of the timeout of a response: long enough for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The timeout until a service is ready. On a machine with a load of 85, an unoptimized search needs more than 30 s to index
/// 1,200 products.
const READY: Duration = Duration::from_secs(120);

/// A running service. It is killed when this value is dropped.
#[derive(Debug)]
pub struct Service {
    /// The process of the service.
    pub process: ChildProcess,
    url: String,
    client: Client,
}

impl Service {
    /// Starts the service and waits until it is ready.
    pub async fn start(command: &Command) -> Self {
        let service = Self::start_without_waiting(command).await;
        service.ready().await;
        service
    }

    /// Starts the service and waits until its log says where it listens.
    pub async fn start_without_waiting(command: &Command) -> Self {
        let process = ChildProcess::start(command).expect("the binary has been built");
        let url = eventually("the address that it listens at", TIMEOUT, async || {
            let output = process.output();
            assert!(process.is_alive(), "it ended:\n{output}");
            let (_, rest) = output.split_once(" address=")?;
            rest.split_once('\n').map(|(address, _)| format!("http://{}", address.trim()))
        })
        .await;
        let client = Client::builder().no_proxy().redirect(Policy::none()).timeout(3 * TIMEOUT).build();
        Self { process, url, client: client.expect("a plain client") }
    }

    /// Waits until the service is ready.
    pub async fn ready(&self) {
        self.process.wait_for_http(&format!("{}/readyz", self.url), READY).await.expect("it gets ready");
    }

    /// Returns the report of `/readyz`, as soon as the service is ready or degraded. On a busy machine, its database may answer a
    /// check too late, and then it is not ready for a moment.
    pub async fn readiness(&self) -> Value {
        eventually("the readiness", READY, async || {
            let report = self.get("/readyz").await;
            (report.status == 200).then(|| report.json())
        })
        .await
    }

    /// Returns its base URL: `http://host:port`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns `host:port`, for tests that use their own HTTP client.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Returns a request to the service; the path begins with a slash.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// Sends a GET and returns the response.
    pub async fn get(&self, path: &str) -> TestResponse {
        Self::send(self.request(Method::GET, path)).await
    }

    /// Sends GET with the consistency token of a write.
    pub async fn get_after(&self, path: &str, written: &TestResponse) -> TestResponse {
        let token = written.header("x-consistency-token");
        Self::send(self.request(Method::GET, path).header("x-consistency-token", token)).await
    }

    /// Sends a PUT with JSON and returns the response.
    pub async fn put(&self, path: &str, body: &Value) -> TestResponse {
        Self::send(self.request(Method::PUT, path).json(body)).await
    }

    /// Sends a POST with JSON and returns the response.
    pub async fn post(&self, path: &str, body: &Value) -> TestResponse {
        Self::send(self.request(Method::POST, path).json(body)).await
    }

    /// Sends a DELETE and returns the response.
    pub async fn delete(&self, path: &str) -> TestResponse {
        Self::send(self.request(Method::DELETE, path)).await
    }

    /// Sends a request that must get a response, with any status.
    pub async fn send(request: RequestBuilder) -> TestResponse {
        Self::try_send(request).await.expect("an answer")
    }

    /// Sends a request to a service that may be down.
    pub async fn try_send(request: RequestBuilder) -> reqwest::Result<TestResponse> {
        TestResponse::read(request.send().await?).await
    }

    /// Returns the sum over all series of a metric that have this text in their labels.
    pub async fn metric(&self, name: &str, labels: &str) -> f64 {
        let text = self.get("/metrics").await.expect(200).text();
        let series = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name) && line.contains(labels));
        series.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    /// Sends SIGTERM and waits; the service must shut down in an orderly way.
    pub async fn stop(self) -> Exit {
        self.process.term().await.expect("it ends")
    }
}
