#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use std::time::Duration;

use cache::memory::{Clock, Fault, Memory, Snapshot};
use cache::{CacheClient, Keyspace};
use tokio::time::{sleep, timeout};

/// How long [`TestMemory::until_recovered`] waits at most.
const RECOVERY: Duration = Duration::from_secs(30);

/// A memory whose time stands still, with faults on demand. Clones of it are the same memory.
#[derive(Clone, Debug)]
pub struct TestMemory(Memory);

/// The entries of a memory at one moment.
#[derive(Clone, Debug)]
pub struct Dump(Snapshot);

impl TestMemory {
    /// Creates an empty memory.
    pub fn new() -> Self {
        Self(Memory::new().with_clock(Clock::manual()))
    }

    /// Returns the memory, for a client with other settings
    /// ([`CacheClient::in_memory_with`](cache::CacheClient::in_memory_with)).
    pub fn memory(&self) -> &Memory {
        &self.0
    }

    /// Creates a client: to the other clients of this memory, it is another process on the same Redis.
    ///
    /// # Panics
    /// Panics if the keyspace has no valid name, or outside of a tokio runtime.
    pub fn client(&self, keyspace: &str) -> CacheClient {
        let keyspace = Keyspace::new(keyspace).unwrap_or_else(|error| panic!("{error}"));
        CacheClient::in_memory(keyspace, &self.0)
    }

    /// Moves forward the time by which entries and leases end.
    pub fn advance(&self, time: Duration) {
        self.0.clock().advance(time);
    }

    /// Lets every command take `time`.
    pub fn slow(&self, time: Duration) {
        self.0.set_fault(Some(Fault::Slow(time)));
    }

    /// Refuses every command.
    pub fn fail(&self) {
        self.0.set_fault(Some(Fault::Failing));
    }

    /// Answers no command.
    pub fn hang(&self) {
        self.0.set_fault(Some(Fault::Hanging));
    }

    /// Ends [`slow`](Self::slow), [`fail`](Self::fail) and [`hang`](Self::hang).
    pub fn recover(&self) {
        self.0.set_fault(None);
    }

    /// Waits until a client uses the memory again and has no deferred invalidation.
    ///
    /// # Panics
    /// Panics after half a minute.
    pub async fn until_recovered(&self, client: &CacheClient) {
        let recovered = async {
            while !client.health().is_in_use() || client.pending_invalidations() > 0 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(RECOVERY, recovered).await.expect("the client does not use the memory again: is there still a fault?");
    }

    /// Removes everything, as `FLUSHALL` does.
    pub fn empty(&self) {
        self.0.empty();
    }

    /// Returns a copy of the entries, as a dump of Redis.
    pub fn dump(&self) -> Dump {
        Dump(self.0.snapshot())
    }

    /// Replaces the entries by older ones, as Redis does when it restarts from a dump.
    pub fn restart_from(&self, dump: &Dump) {
        self.0.restart_from(&dump.0);
    }
}

impl Default for TestMemory {
    fn default() -> Self {
        Self::new()
    }
}
