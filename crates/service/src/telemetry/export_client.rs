//! The HTTP client that sends spans to the collector.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use outbox::RecurringFailure;
use reqwest::Client;
use tokio::runtime::Handle;

/// The timeout of one export.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Sends on the service's runtime, because the thread of the batches has none.
#[derive(Clone, Debug)]
pub(super) struct ExportClient {
    client: Client,
    runtime: Handle,
    /// Logs an outage when it begins and when it ends.
    outage: Arc<RecurringFailure>,
}

impl ExportClient {
    pub(super) fn new(runtime: Handle) -> reqwest::Result<Self> {
        let client = Client::builder().no_proxy().timeout(TIMEOUT).build()?;
        let outage = RecurringFailure::new(
            "traces", "spans cannot be sent to the collector and are lost", "spans are sent to the collector again",
        );
        Ok(Self { client, runtime, outage: Arc::new(outage) })
    }
}

#[async_trait]
impl HttpClient for ExportClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let answer = self.runtime.spawn(async move { send(client, request).await }).await?;
        match &answer {
            Ok(answer) if answer.status().is_success() => drop(self.outage.recovered()),
            Ok(answer) => self.outage.failed(format_args!("it answered {}", answer.status())),
            Err(error) => self.outage.failed(error),
        }
        answer
    }
}

async fn send(client: Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let answer = client.execute(request.try_into()?).await.map_err(reqwest::Error::without_url)?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let mut response = Response::new(answer.bytes().await?);
    (*response.status_mut(), *response.headers_mut()) = (status, headers);
    Ok(response)
}
