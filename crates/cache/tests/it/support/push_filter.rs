//! A proxy that can drop the pushes of Redis, so that a process no longer learns of changes and does not notice.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;

use bytes::BytesMut;
use redis_protocol::resp3::decode::complete::decode_bytes_mut;
use redis_protocol::resp3::types::BytesFrame;
use testkit::Redis;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

/// Ends with the runtime of its test.
pub(crate) struct PushFilter {
    port: u16,
    drops: Arc<AtomicBool>,
}

impl PushFilter {
    pub(crate) async fn to(redis: &Redis) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (port, server) = (listener.local_addr().unwrap().port(), redis.plain_port());
        let drops = Arc::new(AtomicBool::new(false));
        let dropping = Arc::clone(&drops);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await else { continue };
                tokio::spawn(pass(client, server, Arc::clone(&dropping)));
            }
        });
        Self { port, drops }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Drops the names of changed keys from now on. Replies and messages still pass.
    pub(crate) fn drop_pushes(&self) {
        self.drops.store(true, SeqCst);
    }

    pub(crate) fn pass_pushes(&self) {
        self.drops.store(false, SeqCst);
    }
}

async fn pass(client: TcpStream, server: TcpStream, drops: Arc<AtomicBool>) -> std::io::Result<()> {
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let requests = async {
        copy(&mut from_client, &mut to_server).await?;
        to_server.shutdown().await
    };
    let replies = async {
        let mut buffer = BytesMut::new();
        while from_server.read_buf(&mut buffer).await? > 0 {
            while let Some((frame, _, raw)) = decode_bytes_mut(&mut buffer).map_err(std::io::Error::other)? {
                let names_changes = raw.windows(10).take(16).any(|part| part == b"invalidate");
                let is_push = matches!(frame, BytesFrame::Push { .. }) && names_changes;
                if !is_push || !drops.load(SeqCst) {
                    to_client.write_all(&raw).await?;
                }
            }
        }
        to_client.shutdown().await
    };
    tokio::try_join!(requests, replies).map(drop)
}
