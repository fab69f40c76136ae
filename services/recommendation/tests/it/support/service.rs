//! One of our services as a process of its own.

use std::process::Command;

use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
use testkit::{Exit, Process, eventually};

use super::{Answer, SOON};

/// A running service. It is killed when this is dropped.
pub(crate) struct Service {
    pub(crate) process: Process,
    url: String,
    client: Client,
}

impl Service {
    /// Starts it and waits until it is ready.
    pub(crate) async fn start(command: &Command) -> Self {
        let service = Self::launch(command).await;
        service.ready().await;
        service
    }

    /// Starts it and waits until it listens.
    pub(crate) async fn launch(command: &Command) -> Self {
        let process = Process::start(command).expect("the binary has been built");
        let url = eventually("the address that it listens at", SOON, async || {
            let output = process.output();
            assert!(process.is_alive(), "it ended:\n{output}");
            let (_, rest) = output.split_once(" address=")?;
            rest.split_once('\n').map(|(address, _)| format!("http://{}", address.trim()))
        })
        .await;
        let client = Client::builder().no_proxy().redirect(Policy::none()).timeout(3 * SOON).build();
        Self { process, url, client: client.expect("a plain client") }
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(&self) {
        self.process.wait_for_http(&format!("{}/readyz", self.url), SOON).await.expect("it gets ready");
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A request to be made by hand.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Self::send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        Self::send(self.request(Method::PUT, path).json(body)).await
    }

    /// Sends a request that must be answered, whatever the answer.
    pub(crate) async fn send(request: RequestBuilder) -> Answer {
        let answer = async { Answer::read(request.send().await?).await };
        answer.await.expect("an answer")
    }

    /// The sum over all series of a metric that carry this text among their labels.
    pub(crate) async fn metric(&self, name: &str, labels: &str) -> f64 {
        let text = self.get("/metrics").await.expect(200).text();
        let samples = text.lines().filter(|line| line.starts_with(name) && line.contains(labels));
        samples.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    /// SIGTERM; it must end in good order.
    pub(crate) async fn stop(self) -> Exit {
        self.process.term().await.expect("it ends")
    }
}
