//! What a request says of the browser that sent it: the name under which it knows this service, and the page.

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::header::{HOST, HeaderValue};
use actix_web::http::uri::Authority;

/// Returns whether the client knows the service as a part of its own machine. A page of a browser that was led here by a
/// name of its own server (DNS rebinding) does not.
pub(crate) fn is_loopback(request: &HttpRequest) -> bool {
    // No browser omits it.
    let Some(host) = request.headers().get(HOST) else { return true };
    let Ok(authority) = Authority::try_from(host.as_bytes()) else { return false };
    let name = authority.host();
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    match address.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost"),
    }
}

/// Returns whether a page of another origin has sent the request, as browsers say (Fetch Metadata).
pub(crate) fn is_of_another_origin(request: &HttpRequest) -> bool {
    let site = request.headers().get("sec-fetch-site").map(HeaderValue::as_bytes);
    site.is_some_and(|site| !matches!(site, b"same-origin" | b"none"))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn only_names_and_addresses_of_this_machine_are_loopback() {
        for (host, expected) in [
            ("localhost", true),
            ("LOCALHOST:8004", true),
            ("shop.localhost:8004", true),
            ("127.0.0.1:8004", true),
            ("127.9.9.9", true),
            ("[::1]:8004", true),
            ("[::ffff:127.0.0.1]", true),
            ("evil.example", false),
            ("evil.example:8004", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("192.168.0.1:8004", false),
        ] {
            let request = TestRequest::default().insert_header((HOST, host)).to_http_request();
            assert_eq!(is_loopback(&request), expected, "{host}");
        }
        assert!(is_loopback(&TestRequest::default().to_http_request()));
    }
}
