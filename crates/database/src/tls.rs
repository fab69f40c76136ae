//! TLS to Postgres, as a URL asks for it with libpq's parameters.
//!
//! | parameter | meaning |
//! |---|---|
//! | `sslmode` | `require`, `verify-ca` or `verify-full`: TLS, and the server's certificate and its name are checked in each case; anything else: no TLS |
//! | `sslrootcert` | a file with the authorities; default: those of the system |
//! | `sslcert`, `sslkey` | files with the certificate of the client and its private key |
//!
//! The handshake comes before the protocol's messages, so the watchdog sees those messages and not the bytes of TLS. The
//! files are read for each connection, so replaced certificates need no restart.

use std::io;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use tls_client::{TlsClient, TlsStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The message SSLRequest: its length, and a number that no version of the protocol has.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
/// The answer of a server that can speak TLS.
const WILLING: u8 = b'S';

/// Splits a URL into what the client library understands, and the TLS that it asks for.
///
/// # Errors
/// Returns the reason if the certificates cannot be used, or are given without a mode that uses them.
pub(crate) fn split(url: &str) -> Result<(String, Option<TlsClient>), String> {
    let Some((rest, query)) = url.split_once('?').filter(|(rest, _)| rest.contains("://")) else {
        return Ok((url.to_owned(), None));
    };
    let (mut others, mut is_secure, mut files) = (Vec::new(), false, [None, None, None]);
    for parameter in query.split('&') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = percent_decode_str(value).decode_utf8_lossy();
        let file = match name {
            "sslmode" if ["require", "verify-ca", "verify-full"].contains(&&*value) => {
                is_secure = true;
                continue;
            }
            "sslrootcert" => &mut files[0],
            "sslcert" => &mut files[1],
            "sslkey" => &mut files[2],
            _ => {
                others.push(parameter);
                continue;
            }
        };
        *file = Some(PathBuf::from(&*value));
    }
    let url = if others.is_empty() { rest.to_owned() } else { format!("{rest}?{}", others.join("&")) };
    let [ca, certificate, key] = files.each_ref().map(Option::as_deref);
    match is_secure {
        true => {
            let tls = TlsClient::new(ca, certificate, key).map_err(|error| error.to_string())?;
            Ok((url, Some(tls)))
        }
        false if files.iter().all(Option::is_none) => Ok((url, None)),
        false => Err("it names certificates, but not `sslmode=verify-full`".to_owned()),
    }
}

/// Asks the server for TLS, and makes the handshake.
///
/// # Errors
/// Returns an error if the server does not speak TLS, or if its certificate is not one for `host` from an authority that is
/// trusted.
pub(crate) async fn secure(mut stream: TcpStream, host: &str, tls: &TlsClient) -> io::Result<TlsStream<TcpStream>> {
    stream.write_all(&SSL_REQUEST).await?;
    // One byte, and no further one: what a third party may have sent before the handshake must not count as encrypted.
    match stream.read_u8().await? {
        WILLING => tls.connect(host, stream).await,
        _ => Err(io::Error::other("the server does not speak TLS, which the URL requires")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_parameters_are_left_to_the_library() {
        for url in [
            "postgres://u@h/d", "postgres://u@h/d?sslmode=disable",
            "postgres://u@h/d?connect_timeout=3&application_name=x%20y", "host=h user=u sslmode=disable",
        ] {
            let (rest, tls) = split(url).expect(url);
            assert_eq!((&*rest, tls.is_none()), (url, true));
        }
    }

    #[test]
    fn unusable_certificates_are_refused() {
        for (url, part) in [
            ("postgres://u:secret@h/d?sslrootcert=/ca.pem", "not `sslmode=verify-full`"),
            ("postgres://u:secret@h/d?sslmode=verify-full&sslrootcert=/no/ca.pem", "/no/ca.pem"),
        ] {
            let error = split(url).expect_err(url);
            assert!(error.contains(part) && !error.contains("secret"), "{error}");
        }
    }
}
