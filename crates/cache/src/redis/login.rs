//! Connections of our own beside the client library's: the login, and the proof that they lead to the same server.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use redis_connect::RedisAddress;
use tokio::time::timeout;

use super::connection::Connection;
use super::server::ServerInfo;
use super::wire::{self, Frame, Incoming, Outgoing};

/// The longest time for a connection to be set up.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What a connection needs to log in.
#[derive(Clone, Debug)]
pub(super) struct Login {
    address: RedisAddress,
    pub(super) connection: Arc<Connection>,
}

/// A connection to the server that the client has verified.
pub(super) struct LoggedIn {
    pub(super) incoming: Incoming,
    pub(super) outgoing: Outgoing,
    /// What names the register of holders on this server.
    pub(super) register_id: String,
    /// The number of the verification with which the server was compared. After a later verification, replies on this
    /// connection do not count.
    pub(super) verification: usize,
}

impl Login {
    pub(super) fn new(address: RedisAddress, connection: &Arc<Connection>) -> Self {
        Self { address, connection: Arc::clone(connection) }
    }

    /// Connects, logs in, and compares the server with the verified one by its run id.
    ///
    /// # Errors
    /// Returns an error if the server cannot be reached, refuses the login, is another one, or hides its run id.
    pub(super) async fn connect(&self) -> io::Result<LoggedIn> {
        timeout(TIMEOUT, self.log_in()).await.map_err(io::Error::other)?
    }

    async fn log_in(&self) -> io::Result<LoggedIn> {
        let unverified = || io::Error::other("the server is not the one that was verified, or hides its run_id");
        let verification = self.connection.verification().ok_or_else(unverified)?;
        let (mut incoming, mut outgoing) = wire::connect(&self.address).await?;
        match self.address.credentials().current().await.map_err(io::Error::other)? {
            None => outgoing.push(&[b"HELLO", b"3"]),
            Some((user, password)) => {
                outgoing.push(&[b"HELLO", b"3", b"AUTH", user.as_bytes(), password.as_bytes()]);
            }
        }
        let mut replies = 2;
        if self.address.database() != 0 {
            outgoing.push(&[b"SELECT", self.address.database().to_string().as_bytes()]);
            replies += 1;
        }
        outgoing.push(&[b"INFO", b"server"]);
        outgoing.flush().await?;
        let mut info = None;
        for _ in 0..replies {
            info = incoming.reply().await?.or(info);
        }
        let server = ServerInfo::parse(&String::from_utf8_lossy(&info.unwrap_or_default()));
        let is_same = self.connection.run_id().is_some_and(|run_id| server.identity.run_id() == Some(&run_id));
        let register_id = self.connection.register_id().filter(|_| is_same).ok_or_else(unverified)?;
        // The client may have verified another server in the meantime.
        match self.connection.verification() == Some(verification) {
            true => Ok(LoggedIn { incoming, outgoing, register_id, verification }),
            false => Err(unverified()),
        }
    }
}

impl Incoming {
    /// Waits for the next reply, and drops pushes before it.
    pub(super) async fn reply(&mut self) -> io::Result<Option<bytes::Bytes>> {
        loop {
            match self.next().await? {
                Frame::Reply(reply) => return reply.map_err(io::Error::other),
                Frame::Values(_) => return Ok(None),
                Frame::Changed(_) | Frame::Message(_) | Frame::Other => {}
            }
        }
    }
}
