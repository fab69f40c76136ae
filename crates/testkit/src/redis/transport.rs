//! The ways in which tests reach their Redis. `TEST_REDIS=tls`, `unix` or `sentinel` runs a suite over another one than TCP.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// How clients reach a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// `redis://`
    Tcp,
    /// `redis+unix://`
    Unix,
    /// `rediss://`; the server requires a certificate of the client.
    Tls,
    /// `redis-sentinel://`: a sentinel knows the address of the server. What leads through a proxy does not ask it.
    Sentinel,
}

/// The certificates of a test run: those of the server and of a client, and the authority that has signed both.
#[derive(Debug)]
pub struct Certificates {
    /// The authority.
    pub ca: PathBuf,
    /// The certificate and the key of the server, for `localhost`, `127.0.0.1` and `::1`.
    pub server: [PathBuf; 2],
    /// The certificate and the key of a client.
    pub client: [PathBuf; 2],
}

impl Transport {
    /// Returns the transport of this test run.
    ///
    /// # Panics
    /// Panics if `TEST_REDIS` has an unknown value.
    pub fn of_this_run() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the setting of a test run, not of a program")]
        match std::env::var("TEST_REDIS").as_deref() {
            Err(_) | Ok("tcp") => Self::Tcp,
            Ok("unix") => Self::Unix,
            Ok("tls") => Self::Tls,
            Ok("sentinel") => Self::Sentinel,
            Ok(other) => panic!("TEST_REDIS must be tcp, unix, tls or sentinel, got {other:?}"),
        }
    }

    /// Returns the transport between a client and a server that no sentinel watches.
    #[must_use]
    pub fn direct(self) -> Self {
        if self == Self::Sentinel { Self::Tcp } else { self }
    }

    /// Returns the address of a port on loopback that leads to a server of this transport, directly or through a proxy.
    pub fn url(self, port: u16) -> String {
        match self {
            Self::Tcp | Self::Unix | Self::Sentinel => format!("redis://127.0.0.1:{port}"),
            Self::Tls => format!("rediss://127.0.0.1:{port}?{}", Certificates::get().parameters()),
        }
    }
}

impl Certificates {
    /// Returns the certificates, which are made once and stay in the folder of the compiled programs.
    ///
    /// # Panics
    /// Panics if they cannot be written.
    pub fn get() -> &'static Self {
        static MADE: OnceLock<Certificates> = OnceLock::new();
        MADE.get_or_init(|| Self::make().expect("certificates for tests"))
    }

    /// Returns the parameters of a URL for a client that has a certificate.
    fn parameters(&self) -> String {
        let Self { ca, client: [certificate, key], .. } = self;
        format!("ca_file={}&cert_file={}&key_file={}", ca.display(), certificate.display(), key.display())
    }

    fn make() -> Result<Self> {
        let program = std::env::current_exe()?;
        let folder = program.parent().context("the program's path has no folder")?.join("testkit-certificates");
        if !folder.exists() {
            let draft = folder.with_extension(std::process::id().to_string());
            std::fs::create_dir_all(&draft)?;
            write(&draft)?;
            // Another process may have been faster; then its certificates are used.
            if std::fs::rename(&draft, &folder).is_err() {
                std::fs::remove_dir_all(&draft)?;
            }
        }
        if !folder.is_dir() {
            bail!("{} is not a folder", folder.display());
        }
        let file = |name: &str| folder.join(name);
        Ok(Self {
            ca: file("ca.pem"),
            server: [file("server.pem"), file("server.key")],
            client: [file("client.pem"), file("client.key")],
        })
    }
}

/// Writes all files.
fn write(folder: &Path) -> Result<()> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // By its name, a certificate refers to its authority.
    authority.distinguished_name.push(DnType::CommonName, "testkit authority");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    std::fs::write(folder.join("ca.pem"), authority.pem())?;
    for name in ["server", "client"] {
        let key = KeyPair::generate()?;
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let certificate = CertificateParams::new(names)?.signed_by(&key, &authority)?;
        std::fs::write(folder.join(name).with_extension("pem"), certificate.pem())?;
        std::fs::write(folder.join(name).with_extension("key"), key.serialize_pem())?;
    }
    Ok(())
}
