//! What a probe asks one server: the only one, or a primary of a cluster.

use std::time::Instant;

use fred::clients::{Client, WithOptions};
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike, ClusterInterface, LuaInterface};
use fred::types::config::{Options, Server};
use fred::types::{ClusterHash, CustomCommand};

use super::clock::TimeReply;
use super::server::{ServerInfo, classify_error};
use crate::health::Reason;

/// A script that may write but writes nothing, so Redis refuses it whenever it refuses writes. KEYS and ARGV: none.
/// Returns 1.
const MAY_WRITE: &str = "#!lua\nreturn 1";

/// The reason why Redis must not be used.
pub(super) enum ProbeError {
    /// Redis does not answer.
    NoAnswer(Error),
    /// Redis answers, and is in this state.
    State(Reason),
}

/// A server that has entries.
pub(super) struct Node {
    client: WithOptions<Client>,
    is_in_cluster: bool,
}

impl Node {
    /// Returns the server of a client; of a cluster, the one that is named.
    pub(super) fn of(client: &Client, server: Option<Server>) -> Self {
        let is_in_cluster = server.is_some();
        Self { client: client.with_options(&Options { cluster_node: server, ..Options::default() }), is_in_cluster }
    }

    /// Reads the server's clock.
    pub(super) async fn time(&self) -> Result<TimeReply, ProbeError> {
        let sent = Instant::now();
        let time = CustomCommand::new_static("TIME", ClusterHash::Random, false);
        let time: Result<(u64, u64), Error> = self.client.custom(time, Vec::<String>::new()).await;
        let (seconds, micros) = time.map_err(ProbeError::of)?;
        Ok(TimeReply { server_us: seconds * 1_000_000 + micros, sent, received: Instant::now() })
    }

    /// Returns the state of the server, and the reason why it refuses some writes, if that reason prevents neither
    /// reads nor invalidations.
    pub(super) async fn state(&self) -> Result<(ServerInfo, Option<Reason>), ProbeError> {
        let info = self.info().await?;
        match info.forbids_use() {
            Some(reason) => Err(ProbeError::State(reason)),
            None => {
                self.check_cluster().await?;
                Ok((info, self.check_writes().await?))
            }
        }
    }

    /// Checks that this server sees the majority of its cluster: one that does not may still answer reads.
    async fn check_cluster(&self) -> Result<(), ProbeError> {
        if !self.is_in_cluster {
            return Ok(());
        }
        match self.client.cluster_info::<String>().await {
            Ok(info) if info.contains("cluster_state:ok") => Ok(()),
            Ok(_) => Err(ProbeError::NoAnswer(Error::new(ErrorKind::Cluster, "a server does not see its cluster"))),
            Err(error) => Err(ProbeError::of(error)),
        }
    }

    /// Reads `INFO`. If the server refuses it, every field is unknown.
    async fn info(&self) -> Result<ServerInfo, ProbeError> {
        match self.client.info::<String>(None).await {
            Ok(info) => Ok(ServerInfo::parse(&info)),
            Err(error) if matches!(classify_error(error.details()), Some(Reason::Forbidden(_))) => {
                Ok(ServerInfo::default())
            }
            Err(error) if ProbeError::is_silence(&error) => Err(ProbeError::NoAnswer(error)),
            Err(error) => match classify_error(error.details()) {
                Some(reason) => Err(ProbeError::State(reason)),
                // The server does not know the command, or has renamed it.
                None => Ok(ServerInfo::default()),
            },
        }
    }

    /// Checks that Redis accepts writes. Returns the reason of a refusal that prevents neither reads nor invalidations.
    async fn check_writes(&self) -> Result<Option<Reason>, ProbeError> {
        let answer: Result<i64, Error> = self.client.eval(MAY_WRITE, Vec::<String>::new(), Vec::<String>::new()).await;
        let Err(error) = answer else { return Ok(None) };
        match classify_error(error.details()) {
            Some(reason) if !reason.forbids_use() => Ok(Some(reason)),
            _ => Err(ProbeError::of(error)),
        }
    }
}

impl ProbeError {
    pub(super) fn of(error: Error) -> Self {
        match classify_error(error.details()) {
            // Without `TIME` there is no clock.
            Some(Reason::Forbidden(_)) => Self::State(Reason::Login(error.details().to_owned())),
            Some(reason) => Self::State(reason),
            None => Self::NoAnswer(error),
        }
    }

    fn is_silence(error: &Error) -> bool {
        matches!(error.kind(), ErrorKind::IO | ErrorKind::Timeout | ErrorKind::Canceled | ErrorKind::Backpressure)
    }
}
