//! Every way to reach a Redis: the address, the credentials, and TLS.
//!
//! A [`RedisAddress`] is parsed from a URL. It gives [clients of fred](RedisAddress::client), and
//! [plain connections](RedisAddress::connect) for what such a client cannot do.
//!
//! | URL | reaches Redis |
//! |---|---|
//! | `redis://user:password@host:6379/0` | over TCP; an IPv6 address is written in brackets: `redis://[::1]:6379` |
//! | `rediss://user:password@host:6379/0` | over TLS (feature `tls`) |
//! | `redis+unix:///run/redis.sock?db=0` | over a Unix socket; with a user: `redis+unix://user:password@host/…`, where the host is not used |
//! | `redis-sentinel://user:password@sentinel:26379/0?service=name` | the primary of a service, which its sentinels name at each connection |
//! | `redis-cluster://user:password@node:6379` | a cluster, all of whose nodes are found through those that the URL names |
//!
//! | parameter of the URL | meaning |
//! |---|---|
//! | `user_file`, `password_file` | files with the name of the user and the password, instead of those in the URL; read again for each connection, so that they may be changed while the program runs |
//! | `ca_file` | the authorities that may have signed the server's certificate, in the PEM format; default: those of the system |
//! | `cert_file`, `key_file` | the certificate of the client and its private key, in the PEM format |
//! | `db` | the number of the database, for a Unix socket |
//! | `service` | the name that the sentinels have for the primary and its replicas |
//! | `nodes` | further sentinels, or nodes of the cluster, as `host:port,host:port` |
//! | `sentinel_user_file`, `sentinel_password_file` | files with the name of the user and the password for the sentinels, if they require a login |
//!
//! [`reconnect_when_silent`] is for a client that would not notice that its server has vanished.

mod address;
mod builder;
mod credentials;
mod error;
mod sentinel;
mod silence;
mod stream;
#[cfg_attr(not(feature = "tls"), path = "without_tls.rs")]
mod tls;

pub use address::RedisAddress;
pub use credentials::Credentials;
pub use error::AddressError;
pub use silence::{reconnect_when_silent, wait_for_silence};
pub use stream::{Incoming, Outgoing};
