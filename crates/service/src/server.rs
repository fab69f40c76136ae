//! The HTTP server: starts on the caller's listener, and stops when the caller cancels a token.
//!
//! The shutdown is a sequence. t=0: the shutdown token is cancelled, and `/readyz` returns 503. t=`drain_delay`: the
//! listener and the idle connections close; requests in progress continue. At t=`drain_delay`+`grace` at the latest,
//! the remaining connections are closed, and [`serve`] returns.
//!
//! `Connection` lies between each socket and the HTTP parser of actix. It limits how long a client may take, and
//! responds to input that never becomes a request. Therefore the server is built from the parts of actix, and not with
//! its `HttpServer`.

mod chunks_end;
mod connection;
mod exchange;
mod files;
mod gate;
mod head_end;
mod permit;
mod refusal;
mod settings;
mod signals;
mod unsent;

use std::future::ready;
use std::io;
use std::net::TcpListener;
use std::time::Duration;

use actix_http::{HttpService, KeepAlive, Request};
use actix_service::{IntoServiceFactory, ServiceFactoryExt, map_config};
use actix_web::dev::{AppConfig, Extensions, Server, fn_service};
use actix_web::rt::net::TcpStream;
use actix_web::{App, HttpMessage as _, HttpResponse, ResponseError, web};
use tokio_util::sync::CancellationToken;

use crate::http_metrics;
use crate::operations::OperationsAccess;
use crate::problem::{self, BodyTimeout, Problem};
use crate::response_middleware::ResponseMiddleware;

pub(crate) use exchange::{ConnectionPhase, FinishOnDrop, has_body_until_close};
pub use settings::HttpSettings;
pub(crate) use settings::MAX_WORKERS;
pub use signals::shutdown_on_signals;

use connection::Connection;
use gate::ConnectionLimiter;

/// How long the rest of an unread body is discarded, so that its client receives the response.
const DISCARD_TIME: Duration = Duration::from_secs(1);

/// Ends long-lived responses: without this token, the drain would wait for them.
#[derive(Clone, Debug)]
pub(crate) struct ShutdownSignal(pub(crate) CancellationToken);

/// Serves until `shutdown` is cancelled and the requests in progress have ended.
///
/// `configure` runs once per worker and mounts the service's routes. The metrics and problem+json middleware already
/// wraps them.
pub async fn serve<F>(
    listener: TcpListener, settings: &HttpSettings, shutdown: CancellationToken, configure: F,
) -> io::Result<()>
where
    F: Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
{
    let stopping = ShutdownSignal(shutdown.clone());
    let access = OperationsAccess::of(&listener);
    let body_timeout = BodyTimeout(settings.body_timeout);
    let middleware = ResponseMiddleware::default();
    let app = move || {
        App::new()
            .app_data(stopping.clone())
            .app_data(body_timeout)
            // The default, unless the service applies its own access rule.
            .app_data(access.clone())
            .wrap(middleware.clone())
            .configure(problem::configure)
            .configure(configure.clone())
    };
    let grace = settings.grace.as_secs() + u64::from(settings.grace.subsec_nanos() > 0);
    let max_connections = files::connections_that_fit(settings.max_connections);
    let gate = ConnectionLimiter::new(&HttpSettings { max_connections, ..settings.clone() });
    let server = Server::build()
        .workers(settings.threads()?)
        // Above the limit of the connection limiter, so that the limiter refuses connections, with a response.
        .max_concurrent_connections(2 * max_connections)
        .shutdown_timeout(grace)
        .disable_signals();
    let draining = server.graceful_shutdown_signal();
    let http = move || {
        let (gate, draining) = (gate.clone(), draining.clone());
        let app = app().into_factory().map_err(|error| error.error_response());
        let http = HttpService::build()
            // The connection has its own time limits, for every request and not only the first.
            .keep_alive(KeepAlive::Os)
            .client_request_timeout(Duration::ZERO)
            .client_disconnect_timeout(DISCARD_TIME)
            .graceful_shutdown_signal(move || {
                let draining = draining.clone();
                async move { draining.notified().await }
            })
            .on_connect_ext(|connection: &Connection, data: &mut Extensions| {
                data.insert(connection.exchange().clone());
            })
            .expect(fn_service(async |request: Request| match problem::check_declared_length(request.headers()) {
                Ok(()) => Ok(request),
                Err(problem) => Err::<_, HttpResponse>(refuse(&request, &problem)),
            }))
            .h1(map_config(app, |()| AppConfig::default()));
        let admit = fn_service(move |stream: TcpStream| {
            let peer = stream.peer_addr().ok();
            ready(gate.admit(stream).map(|connection| (connection, peer)))
        });
        admit.and_then(http)
    };
    let mut server = server.listen("http", listener, http)?.run();

    let handle = server.handle();
    let stop = async {
        shutdown.cancelled().await;
        tokio::time::sleep(settings.drain_delay).await;
        handle.stop(true).await;
    };
    tokio::select! {
        ended = &mut server => return ended,
        () = stop => {}
    }
    server.await
}

/// Responds to a request whose client waits for permission to send the body. The request does not reach the middleware,
/// so its part is done here: the connection learns the length of the body, which may come all the same.
fn refuse(request: &Request, problem: &Problem) -> HttpResponse {
    if let Some(phase) = request.conn_data::<ConnectionPhase>() {
        phase.begin(request.method(), request.headers());
        phase.finish();
    }
    http_metrics::record_refused(request, problem);
    problem.error_response()
}
