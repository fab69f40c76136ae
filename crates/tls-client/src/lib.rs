#![doc = include_str!("../README.md")]

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpStream;
pub use tokio_rustls::TlsConnector;
pub use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Which servers are trusted, and the certificate of this client. Cheap to clone.
#[derive(Clone)]
pub struct TlsClient(Arc<ClientConfig>);

/// Certificates cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or has other contents.
    #[error("the file {} cannot be used: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The certificates do not fit together, or are missing.
    #[error("{0}")]
    Certificates(String),
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClient").finish_non_exhaustive()
    }
}

impl TlsClient {
    /// Reads files in the PEM format: the authorities that are trusted (`None`: those of the system), and the client's own
    /// certificate with its private key.
    ///
    /// # Errors
    /// Returns an error if a file cannot be used, or if the certificate or the key is missing.
    pub fn new(ca: Option<&Path>, certificate: Option<&Path>, key: Option<&Path>) -> Result<Self, TlsError> {
        let unusable = |error: &dyn fmt::Display| TlsError::Certificates(error.to_string());
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&error))?
            .with_root_certificates(authorities(ca)?);
        let config = match (certificate, key) {
            (None, None) => config.with_no_client_auth(),
            (Some(certificate), Some(key)) => {
                let of_key = |error: pem::Error| TlsError::File { path: key.to_owned(), reason: error.to_string() };
                let private = PrivateKeyDer::from_pem_file(key).map_err(of_key)?;
                config.with_client_auth_cert(certificates(certificate)?, private).map_err(|error| unusable(&error))?
            }
            _ => return Err(unusable(&"a certificate and its private key belong together")),
        };
        Ok(Self(Arc::new(config)))
    }

    /// Makes the handshake with the server, whose certificate must be for `host`.
    ///
    /// # Errors
    /// Returns an error if the handshake fails, or the certificate is not trusted.
    pub async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        self.connector().connect(name, stream).await
    }

    /// Returns a connector for a client library.
    pub fn connector(&self) -> TlsConnector {
        TlsConnector::from(Arc::clone(&self.0))
    }
}

/// Returns the authorities of a file, or those of the system.
fn authorities(file: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    match file {
        Some(path) => {
            for certificate in certificates(path)? {
                let added = store.add(certificate);
                added.map_err(|error| TlsError::File { path: path.to_owned(), reason: error.to_string() })?;
            }
        }
        None => {
            let system = rustls_native_certs::load_native_certs();
            store.add_parsable_certificates(system.certs);
            if store.is_empty() {
                return Err(TlsError::Certificates("the system trusts no authority, and no file names one".to_owned()));
            }
        }
    }
    Ok(store)
}

/// Returns the certificates of a file, which has at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unusable = |reason: String| TlsError::File { path: path.to_owned(), reason };
    let found: Result<Vec<_>, pem::Error> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let found = found.map_err(|error| unusable(error.to_string()))?;
    match found.is_empty() {
        true => Err(unusable("it has no certificate in the PEM format".to_owned())),
        false => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use rcgen::{CertifiedKey, generate_simple_self_signed};

    use super::*;

    struct Files {
        _folder: tempfile::TempDir,
        certificate: PathBuf,
        key: PathBuf,
        empty: PathBuf,
    }

    fn files() -> Files {
        let folder = tempfile::tempdir().unwrap();
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let [certificate, key, empty] =
            ["certificate.pem", "key.pem", "empty.pem"].map(|name| folder.path().join(name));
        std::fs::write(&certificate, cert.pem()).unwrap();
        std::fs::write(&key, signing_key.serialize_pem()).unwrap();
        std::fs::write(&empty, "").unwrap();
        Files { _folder: folder, certificate, key, empty }
    }

    fn refusal(ca: Option<&PathBuf>, certificate: Option<&PathBuf>, key: Option<&PathBuf>) -> String {
        let [ca, certificate, key] = [ca, certificate, key].map(|file| file.map(PathBuf::as_path));
        TlsClient::new(ca, certificate, key).map(drop).unwrap_err().to_string()
    }

    #[test]
    fn usable_files_are_accepted() {
        let files = files();
        let with = |certificate: Option<&Path>, key: Option<&Path>| {
            TlsClient::new(Some(&files.certificate), certificate, key).map(drop)
        };
        assert_eq!(with(None, None), Ok(()));
        assert_eq!(with(Some(&*files.certificate), Some(&*files.key)), Ok(()));
    }

    #[test]
    fn unusable_files_are_refused_by_name() {
        let files = files();
        let ca = Some(&files.certificate);
        let missing = PathBuf::from("/nowhere/ca.pem");
        for (refused, part) in [
            (refusal(Some(&missing), None, None), "/nowhere/ca.pem"),
            (refusal(Some(&files.empty), None, None), "empty.pem"),
            (refusal(ca, Some(&files.certificate), None), "belong together"),
            (refusal(ca, None, Some(&files.key)), "belong together"),
            (refusal(ca, Some(&files.empty), Some(&files.key)), "empty.pem"),
            (refusal(ca, Some(&files.certificate), Some(&files.certificate)), "certificate.pem"),
        ] {
            assert!(refused.contains(part), "{refused}");
        }
    }
}
