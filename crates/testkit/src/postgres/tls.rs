//! A server that requires TLS.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use anyhow::Result;

use super::Postgres;
use crate::redis::Certificates;

/// Who may log in: over TCP, only a client with a certificate.
const ACCESS: &str = "local all all trust\nhostssl all all all trust clientcert=verify-ca\n";

impl Postgres {
    /// Starts a server that requires TLS and a certificate of the client; see [`url_over_tls`](Self::url_over_tls).
    /// Methods that run SQL do not work with it.
    pub async fn start_over_tls() -> Result<Self> {
        let mut postgres = Self::create().await?;
        let data = postgres.data();
        let data = Path::new(&data);
        let Certificates { ca, server: [certificate, key], .. } = Certificates::get();
        let owner = std::fs::metadata(data)?;
        for (source, name) in [(ca, "ca.pem"), (certificate, "server.pem"), (key, "server.key")] {
            let file = data.join(name);
            std::fs::copy(source, &file)?;
            // Postgres refuses a key that others can read.
            std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600))?;
            chown(&file, Some(owner.uid()), Some(owner.gid()))?;
        }
        std::fs::write(data.join("pg_hba.conf"), ACCESS)?;
        let settings = "ssl = on\nssl_cert_file = 'server.pem'\nssl_key_file = 'server.key'\nssl_ca_file = 'ca.pem'\n";
        std::fs::write(data.join("postgresql.auto.conf"), settings)?;
        postgres.launch().await?;
        Ok(postgres)
    }

    /// Returns the address of the database `postgres` for a client with a certificate.
    pub fn url_over_tls(&self) -> String {
        let Certificates { ca, client: [certificate, key], .. } = Certificates::get();
        let [ca, certificate, key] = [ca, certificate, key].map(|path| path.display());
        format!("{}?sslmode=verify-full&sslrootcert={ca}&sslcert={certificate}&sslkey={key}", self.url("postgres"))
    }
}
