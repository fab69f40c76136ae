//! Several entries at once, for a batch.

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::sync::oneshot;

use super::{EntryReads, Pipeline, Read};
use crate::entry::StoredValue;
use crate::keyspace::Key;
use crate::redis::error::{Result, StoreError};

/// The entries of one command. Redis serves no other client during a command, so it is not a whole batch.
const TOGETHER: usize = 64;

/// The values of one command.
type Reply = oneshot::Receiver<Result<Vec<Option<Bytes>>>>;

impl EntryReads {
    /// Reads several entries by commands that are sent together.
    pub(crate) async fn get_many(&self, keys: &[Key]) -> Vec<Result<Option<StoredValue>>> {
        let is_ready = self.login.connection.ready().is_ok();
        let pipeline = if is_ready { self.pipeline() } else { None };
        let Some(replies) = pipeline.and_then(|pipeline| pipeline.enqueue_several(keys)) else {
            return self.each(keys).await;
        };
        let mut found = Vec::with_capacity(keys.len());
        for (keys, reply) in keys.chunks(TOGETHER).zip(replies) {
            match reply.await {
                Ok(Ok(values)) if values.len() == keys.len() => {
                    found.extend(values.into_iter().map(|raw| Ok(raw.map(StoredValue::parse))));
                }
                Ok(Ok(_)) => found.extend(keys.iter().map(|_| Err(StoreError::Server("too few values".to_owned())))),
                Ok(Err(error)) => found.extend(keys.iter().map(|_| Err(error.clone()))),
                // The connection broke before the reply.
                Err(_) => found.extend(self.each(keys).await),
            }
        }
        found
    }

    async fn each(&self, keys: &[Key]) -> Vec<Result<Option<StoredValue>>> {
        join_all(keys.iter().map(|key| self.get(key))).await
    }
}

impl Pipeline {
    /// Requests several keys. Returns a reply for each command.
    fn enqueue_several(&self, keys: &[Key]) -> Option<Vec<Reply>> {
        let (reads, replies): (Vec<_>, Vec<_>) = keys
            .chunks(TOGETHER)
            .map(|keys| {
                let (sender, reply) = oneshot::channel();
                (Read::Several(keys.iter().map(Key::bytes).collect(), sender), reply)
            })
            .unzip();
        self.append(reads)?;
        Some(replies)
    }
}
