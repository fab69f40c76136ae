//! Access to the operations routes: `/events`, `/cache/*` and `/metrics`.
//!
//! They disclose the data that the service processes, so they are for operators and for consumers of other services,
//! not for clients.
//!
//! | `OPERATIONS__TOKEN_FILE` | the service listens on | operations routes |
//! |---|---|---|
//! | names a file | any address | accept requests with the token: `Authorization: Bearer <token>` |
//! | is empty | loopback | accept requests of this machine, except those of pages of other origins in its browsers |
//! | is empty | any other address | refuse every request |
//!
//! A refused request receives 401 with `WWW-Authenticate`. The token is compared in constant time, by its digest. The
//! consumers of a service send the same token when they fetch missed events from another service.

use std::fmt;
use std::future::{Ready, ready};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::ServiceConfig;
use actix_web::{FromRequest, HttpRequest};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tracing::warn;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

use crate::host::{is_loopback, is_of_another_origin};
use crate::problem::Problem;
use crate::settings::SettingsError;

/// The minimum length of an accepted token, in characters.
const SHORTEST: usize = 16;
/// The name of the security scheme in the API's description.
const SCHEME: &str = "operations_token";

/// The `[operations]` section of every service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OperationsSettings {
    /// The file that contains the token; empty for no token.
    pub token_file: String,
}

/// A secret that is never shown.
#[derive(Clone)]
pub struct Token {
    text: Arc<str>,
    digest: [u8; 32],
}

/// The access rule of the operations routes of this process.
#[derive(Clone, Debug)]
pub enum OperationsAccess {
    /// Every request is accepted, except those of pages of other origins: only this machine can send one.
    Open,
    /// No request is accepted.
    Closed,
    /// Requests with the token are accepted.
    Bearer(Token),
}

/// Proof that a request may use the operations routes: the first parameter of each of their handlers.
#[derive(Clone, Copy, Debug)]
pub struct OperatorToken(());

impl OperationsAccess {
    /// Reads the token, or decides by the address of `listener`.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, or contains no token.
    pub fn load(settings: &OperationsSettings, listener: &TcpListener) -> Result<Self, SettingsError> {
        if !settings.token_file.is_empty() {
            return Token::read(Path::new(&settings.token_file)).map(Self::Bearer);
        }
        let access = Self::of(listener);
        if matches!(access, Self::Closed) {
            warn!(
                "the operations routes (/events, /cache/*, /metrics) refuse every request: the service does not listen on \
                 loopback, and OPERATIONS__TOKEN_FILE is not set"
            );
        }
        Ok(access)
    }

    /// Returns the rule without a token: only a service that is reachable from this machine alone is open.
    pub(crate) fn of(listener: &TcpListener) -> Self {
        match listener.local_addr() {
            Ok(address) if address.ip().to_canonical().is_loopback() => Self::Open,
            _ => Self::Closed,
        }
    }

    /// Applies the rule to the routes of an app. Without this call, the listener's address decides.
    pub fn configure(&self, cfg: &mut ServiceConfig) {
        cfg.app_data(self.clone());
    }

    /// Returns the token that this process sends to other services, if it has one.
    pub fn token(&self) -> Option<&str> {
        match self {
            Self::Bearer(token) => Some(&token.text),
            Self::Open | Self::Closed => None,
        }
    }

    fn check(&self, request: &HttpRequest) -> Result<OperatorToken, Problem> {
        match self {
            Self::Open if is_loopback(request) && !is_of_another_origin(request) => Ok(OperatorToken(())),
            Self::Open => Err(Problem::unauthorized(
                "The operations routes of this service are open under a name or address of this machine only, such as localhost, \
                 and not for pages of other origins.",
            )),
            Self::Closed => Err(Problem::unauthorized(
                "The operations routes of this service are closed. OPERATIONS__TOKEN_FILE opens them for requests with a token.",
            )),
            Self::Bearer(token) => match bearer(request) {
                Some(sent) if token.is(sent) => Ok(OperatorToken(())),
                Some(_) => Err(Problem::unauthorized("The bearer token is not the token of this service's operators.")),
                None => Err(Problem::unauthorized(
                    "This is an operations route. Send the operators' token: `Authorization: Bearer <token>`.",
                )),
            },
        }
    }
}

impl Token {
    fn read(path: &Path) -> Result<Self, SettingsError> {
        let wrong = |reason: String| SettingsError::wrong("OPERATIONS__TOKEN_FILE", reason);
        let text = std::fs::read_to_string(path)
            .map_err(|error| wrong(format!("names {}, which cannot be read: {error}", path.display())))?;
        let text = text.trim();
        if text.len() < SHORTEST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let path = path.display();
            return Err(wrong(format!(
                "names {path}, which must hold one token of {SHORTEST} or more visible ASCII characters"
            )));
        }
        Ok(Self { text: text.into(), digest: Sha256::digest(text).into() })
    }

    /// Compares digests, so the duration does not depend on the position of a difference or on the lengths.
    fn is(&self, sent: &[u8]) -> bool {
        let sent: [u8; 32] = Sha256::digest(sent).into();
        self.digest.ct_eq(&sent).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// Returns the credentials of the scheme `Bearer`, whose name is case-insensitive (RFC 9110, 11.1; RFC 6750).
fn bearer(request: &HttpRequest) -> Option<&[u8]> {
    let credentials = request.headers().get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = credentials.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

impl FromRequest for OperatorToken {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(request.app_data::<OperationsAccess>().unwrap_or(&OperationsAccess::Closed).check(request))
    }
}

/// Adds the token to the API's description, for the operations that require it.
#[derive(Debug)]
pub(crate) struct SecurityAddon;

impl utoipa::Modify for SecurityAddon {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("Required unless the service listens on loopback and has no token"));
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme(SCHEME, SecurityScheme::Http(scheme.build()));
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn access(text: &str) -> Result<OperationsAccess, SettingsError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let settings = OperationsSettings { token_file: file.path().display().to_string() };
        OperationsAccess::load(&settings, &TcpListener::bind("127.0.0.1:0").unwrap())
    }

    #[test]
    fn only_the_token_opens_the_operations_routes() {
        let access = access("0123456789abcdef0123\n").unwrap();
        for (sent, opens) in [
            (Some("Bearer 0123456789abcdef0123"), true),
            (Some("bearer 0123456789abcdef0123"), true),
            (Some("Bearer 0123456789abcdef012"), false),
            (Some("Bearer 0123456789abcdef01234"), false),
            (Some("Bearer "), false),
            (Some("Bearer"), false),
            (Some("Basic 0123456789abcdef0123"), false),
            (Some("0123456789abcdef0123"), false),
            (None, false),
        ] {
            let request = TestRequest::default();
            let request =
                sent.into_iter().fold(request, |request, sent| request.insert_header(("authorization", sent)));
            assert_eq!(access.check(&request.to_http_request()).is_ok(), opens, "{sent:?}");
        }
        assert_eq!(format!("{access:?}"), "Bearer(Token)", "a log must not show it");
    }

    #[test]
    fn without_a_token_only_a_loopback_listener_is_open() {
        let settings = OperationsSettings::default();
        for (address, opens) in [("127.0.0.1:0", true), ("[::1]:0", true), ("0.0.0.0:0", false), ("[::]:0", false)] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let access = OperationsAccess::load(&settings, &listener).unwrap();
            assert_eq!(access.check(&TestRequest::default().to_http_request()).is_ok(), opens, "{address}");
        }
    }

    #[test]
    fn token_file_without_a_token_is_refused_with_the_setting_name() {
        for text in ["", "\n", "short", "two words 0123456789", "0123456789abcdefü"] {
            let error = access(text).expect_err(text).to_string();
            assert!(error.starts_with("OPERATIONS__TOKEN_FILE names"), "{error}");
        }
        let settings = OperationsSettings { token_file: "/nowhere/at/all".to_owned() };
        let error =
            OperationsAccess::load(&settings, &TcpListener::bind("127.0.0.1:0").unwrap()).unwrap_err().to_string();
        assert!(error.contains("OPERATIONS__TOKEN_FILE") && error.contains("/nowhere/at/all"), "{error}");
    }
}
