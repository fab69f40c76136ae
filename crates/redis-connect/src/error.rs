//! Why a URL cannot be used.

use std::path::PathBuf;

/// No Redis can be reached by this URL. The message repeats neither the URL nor a file's content, because both
/// may contain a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The URL cannot be used.
    #[error(
        "the Redis URL cannot be used: {0}; expected redis://user:password@host:port/db, redis+unix:///path/to/socket?db=0, \
         redis-sentinel://host:port?service=name, or redis-cluster://host:port; with TLS: rediss://…, \
         rediss-sentinel://…, rediss-cluster://…"
    )]
    Url(String),
    /// A file that the URL names cannot be used.
    #[error("the file {} cannot be used for Redis: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The certificates cannot be used.
    #[error("the certificates for Redis cannot be used: {0}")]
    Tls(String),
}
