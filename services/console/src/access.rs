//! Which requests are served: those of this machine, from the console's own page.
//!
//! The console adds the operators' token to requests that it forwards, and it can disturb the stack. So its page must
//! not be usable by another site that a visitor's browser has open:
//!
//! | attack | defence |
//! |---|---|
//! | a client on another machine | the peer's address is loopback, unless the port is published on loopback only |
//! | a foreign name that resolves to 127.0.0.1 (DNS rebinding) | `Host` is one of the configured names |
//! | a form or a script of another site (CSRF) | a request that changes anything has no `Origin` but the console's own |
//! | a script of another site that reads | `Sec-Fetch-Site` is not `cross-site`, except to open the page itself |
//!
//! Programs such as curl send neither `Origin` nor `Sec-Fetch-Site`, and run on this machine.

use std::sync::Arc;

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HOST, ORIGIN};
use actix_web::middleware::Next;
use actix_web::web::Data;
use service::problem::{Kind, Problem};

use crate::settings::AccessSettings;

/// The access rule of the console.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    hosts: Arc<[String]>,
    behind_loopback: bool,
}

impl Access {
    /// Creates the rule.
    pub(crate) fn new(settings: &AccessSettings) -> Self {
        let hosts = settings.hosts.split_whitespace().map(str::to_ascii_lowercase).collect();
        Self { hosts, behind_loopback: settings.behind_loopback }
    }

    fn check(&self, request: &ServiceRequest) -> Result<(), Problem> {
        let refused = |detail: &'static str| Err(Problem::new(Kind::Forbidden, detail));
        let is_local = request.peer_addr().is_some_and(|peer| peer.ip().to_canonical().is_loopback());
        if !self.behind_loopback && !is_local {
            return refused("The console serves only clients of its own machine.");
        }
        let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let Some(host) = header(HOST).filter(|host| self.is_own(host)) else {
            return refused("The console serves only requests for localhost. ACCESS__HOSTS names other hosts.");
        };
        let is_read = request.method().is_safe();
        match header(ORIGIN) {
            Some(origin) if origin.strip_prefix("http://").is_none_or(|origin| origin != host) => {
                return refused("The request comes from the page of another origin.");
            }
            _ => {}
        }
        let site = request.headers().get("sec-fetch-site").map_or(&b"none"[..], |site| site.as_bytes());
        let opens_page = is_read && request.path() == "/";
        if !matches!(site, b"same-origin" | b"none") && !opens_page {
            return refused("The request comes from the page of another site.");
        }
        Ok(())
    }

    fn is_own(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        self.hosts.iter().any(|own| own.eq_ignore_ascii_case(name))
    }
}

/// Applies the rule to a request.
///
/// # Errors
/// Returns a problem with status 403 for a request that is not served.
pub(crate) async fn guard(
    request: ServiceRequest, next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let access = request.app_data::<Data<Access>>().expect("the app mounts the rule with the routes");
    access.check(&request)?;
    next.call(request).await
}

#[cfg(test)]
mod tests {
    use actix_web::http::Method;
    use actix_web::test::TestRequest;

    use super::*;

    fn check(method: Method, path: &str, headers: &[(&str, &str)], peer: &str) -> bool {
        let hosts = "localhost 127.0.0.1 [::1]".to_owned();
        let access = Access::new(&AccessSettings { hosts, behind_loopback: false });
        let request = TestRequest::with_uri(path).method(method).peer_addr(peer.parse().unwrap());
        let request = headers.iter().fold(request, |request, header| request.insert_header(*header));
        access.check(&request.to_srv_request()).is_ok()
    }

    #[test]
    fn only_requests_of_this_machine_and_of_the_own_page_are_served() {
        let local = "127.0.0.1:9";
        let own = ("host", "localhost:8000");
        for (method, path, headers, peer, served) in [
            (Method::GET, "/", vec![own], local, true),
            (Method::GET, "/", vec![("host", "[::1]:8000")], "[::1]:9", true),
            (Method::GET, "/", vec![own], "192.0.2.1:9", false),
            (Method::GET, "/", vec![("host", "evil.example:8000")], local, false),
            (Method::GET, "/", vec![("host", "localhost.evil.example")], local, false),
            (Method::GET, "/", vec![], local, false),
            (Method::GET, "/", vec![own, ("sec-fetch-site", "cross-site")], local, true),
            (Method::GET, "/live", vec![own, ("sec-fetch-site", "cross-site")], local, false),
            (Method::GET, "/api/cart/cache/entries", vec![own, ("sec-fetch-site", "same-site")], local, false),
            (Method::POST, "/actions/reset", vec![own], local, true),
            (Method::POST, "/actions/reset", vec![own, ("origin", "http://localhost:8000")], local, true),
            (Method::POST, "/actions/reset", vec![own, ("origin", "http://localhost:9000")], local, false),
            (Method::POST, "/actions/reset", vec![own, ("origin", "http://127.0.0.1:8000")], local, false),
            (Method::POST, "/actions/reset", vec![own, ("origin", "https://localhost:8000")], local, false),
            (Method::POST, "/actions/reset", vec![own, ("origin", "null")], local, false),
            (Method::POST, "/", vec![own, ("sec-fetch-site", "cross-site")], local, false),
        ] {
            assert_eq!(check(method.clone(), path, &headers, peer), served, "{method} {path} {headers:?} from {peer}");
        }
    }
}
