//! Several entries at once, for a batch.

use std::collections::BTreeMap;
use std::iter;

use bytes::{Bytes, BytesMut};
use fred::interfaces::KeysInterface;
use futures_util::future::join_all;
use tokio::sync::oneshot;

use super::{EntryReads, Pipeline, Read};
use crate::entry::StoredValue;
use crate::keyspace::Key;
use crate::redis::error::{Result, StoreError};
use crate::redis::wire;

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
            return self.get_many_through_library(keys).await;
        };
        let (mut found, mut again) = (Vec::with_capacity(keys.len()), Vec::new());
        for (keys, reply) in keys.chunks(TOGETHER).zip(replies) {
            match reply.await {
                Ok(Ok(values)) if values.len() == keys.len() => {
                    found.extend(values.into_iter().map(|raw| Ok(raw.map(StoredValue::parse))));
                }
                Ok(Err(error @ StoreError::Unavailable(_))) => found.extend(keys.iter().map(|_| Err(error.clone()))),
                // Redis has refused the command, or the connection broke before the reply.
                Ok(_) | Err(_) => {
                    again.extend(found.len()..found.len() + keys.len());
                    found.extend(keys.iter().map(|_| Ok(None)));
                }
            }
        }
        let values = join_all(again.iter().map(|number| self.get(&keys[*number]))).await;
        for (number, value) in again.into_iter().zip(values) {
            found[number] = value;
        }
        debug_assert_eq!(found.len(), keys.len());
        found
    }

    /// Reads several entries with the connections of the client library. A command has keys of one partition, which are on one
    /// server of a cluster.
    async fn get_many_through_library(&self, keys: &[Key]) -> Vec<Result<Option<StoredValue>>> {
        let mut partitions: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
        for (number, key) in keys.iter().enumerate() {
            partitions.entry(key.partition()).or_default().push(number);
        }
        let commands: Vec<&[usize]> = partitions.values().flat_map(|numbers| numbers.chunks(TOGETHER)).collect();
        let replies = join_all(commands.iter().map(|numbers| self.mget(keys, numbers))).await;
        let mut found: Vec<_> = commands.concat().into_iter().zip(replies.into_iter().flatten()).collect();
        found.sort_unstable_by_key(|(number, _)| *number);
        found.into_iter().map(|(_, value)| value).collect()
    }

    /// Reads the keys with these numbers by one command, or each by itself if Redis refuses that, as while their slot migrates.
    async fn mget(&self, keys: &[Key], numbers: &[usize]) -> Vec<Result<Option<StoredValue>>> {
        let connection = &self.login.connection;
        let names: Vec<Bytes> = numbers.iter().map(|number| keys[*number].bytes()).collect();
        let reply = match connection.ready() {
            Ok(()) => connection.accept(Box::pin(connection.client.mget::<Vec<Option<Bytes>>, _>(names)).await),
            Err(error) => Err(error),
        };
        match reply {
            Ok(values) if values.len() == numbers.len() => {
                values.into_iter().map(|raw| Ok(raw.map(StoredValue::parse))).collect()
            }
            Err(error @ StoreError::Unavailable(_)) => numbers.iter().map(|_| Err(error.clone())).collect(),
            Ok(_) | Err(_) => join_all(numbers.iter().map(|number| self.get(&keys[*number]))).await,
        }
    }
}

impl Pipeline {
    /// Requests several keys. Returns a reply for each command.
    fn enqueue_several(&self, keys: &[Key]) -> Option<Vec<Reply>> {
        let (reads, replies): (Vec<_>, Vec<_>) = keys
            .chunks(TOGETHER)
            .map(|keys| {
                let (sender, reply) = oneshot::channel();
                let names = keys.iter().map(|key| key.name());
                let mut command = BytesMut::new();
                wire::encode(&mut command, 1 + keys.len(), iter::once(b"MGET".as_slice()).chain(names));
                (Read::Several(command, sender), reply)
            })
            .unzip();
        self.append(reads)?;
        Some(replies)
    }
}
