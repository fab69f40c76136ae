//! The invalidation of a tag with many members: how long it takes, and how long other commands have to wait during it.
//! It is compared with the usual implementation: `SMEMBERS`, and one command that removes all members.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use cache::{CacheClient, CacheSettings, Invalidated, Keyspace, NewEntry, Policy, Tag};
use fred::clients::Client;
use fred::interfaces::{ClientLike, KeysInterface, SetsInterface};
use fred::types::Builder;
use fred::types::config::Config;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use testkit::Redis;

use super::extent::Extent;
use super::figures::TagFigures;
use crate::wrk;

/// Concurrent fills.
const AT_ONCE: usize = 64;
/// Keys per command while filling.
const BATCH: usize = 1_000;
/// A body of the length of a product's.
const BODY: [u8; 400] = [b'x'; 400];
/// The interval between two probes of Redis' response time.
const EVERY: Duration = Duration::from_micros(200);

pub(super) async fn measure(extent: &Extent, redis_core: usize) -> Result<Vec<TagFigures>> {
    let redis = Redis::start().await?;
    wrk::pin(redis.pid(), redis_core)?;
    let client = connect(&redis).await?;
    let settings =
        CacheSettings { url: redis.url(), command_timeout: Duration::from_secs(5), ..CacheSettings::default() };
    let cache = CacheClient::connect_with(Keyspace::new("bench")?, &settings).await?;
    let lane = cache.cache::<Vec<u8>>("tagged", Policy::ttl(Duration::from_secs(3_600)))?;
    let mut all = Vec::new();
    for &members in extent.members {
        let mut figures = TagFigures { members, took: vec![], naive_took: vec![], stall: vec![], naive_stall: vec![] };
        for round in 0..extent.rounds.min(3) {
            let tag = Tag::new("group", u64::from(round));
            stream::iter(0..members)
                .map(|id| {
                    let (lane, tag) = (&lane, tag.clone());
                    async move {
                        let load = move || {
                            let tag = tag.clone();
                            async move { Ok::<_, std::convert::Infallible>(NewEntry::raw(BODY.as_slice()).tag(tag)) }
                        };
                        lane.read(id, load).await.map(drop)
                    }
                })
                .buffer_unordered(AT_ONCE)
                .try_collect::<Vec<()>>()
                .await?;
            let prober = Prober::start(&redis)?;
            let began = Instant::now();
            let done = cache.invalidate_tag(tag).await;
            figures.took.push(began.elapsed().as_secs_f64() * 1e3);
            figures.stall.push(prober.longest()?);
            ensure!(done == Invalidated::Done { entries: members as u64 }, "{members} members: {done:?}");

            for first in (0..members).step_by(BATCH) {
                let names: Vec<String> = (first..members.min(first + BATCH)).map(|id| format!("plain:{id}")).collect();
                let pairs: Vec<(String, &[u8])> = names.iter().map(|name| (name.clone(), BODY.as_slice())).collect();
                client.mset(pairs).await?;
                client.sadd::<(), _, _>("plain", names).await?;
            }
            let prober = Prober::start(&redis)?;
            let began = Instant::now();
            let mut names: Vec<String> = client.smembers("plain").await?;
            names.push("plain".to_owned());
            client.unlink::<(), _>(names).await?;
            figures.naive_took.push(began.elapsed().as_secs_f64() * 1e3);
            figures.naive_stall.push(prober.longest()?);
        }
        all.push(figures);
    }
    cache.shutdown(Duration::from_secs(5)).await;
    Ok(all)
}

async fn connect(redis: &Redis) -> Result<Client> {
    let client = Builder::from_config(Config::from_url(&redis.url())?).build()?;
    client.init().await?;
    Ok(client)
}

/// A probe that sends commands to Redis continuously, from its own thread and connection.
struct Prober {
    stop: Arc<AtomicBool>,
    asking: JoinHandle<io::Result<Duration>>,
}

impl Prober {
    fn start(redis: &Redis) -> Result<Self> {
        let mut connection = TcpStream::connect(("127.0.0.1", redis.port()))?;
        connection.set_nodelay(true)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let asking = thread::spawn(move || Self::ask(&mut connection, &stopped));
        Ok(Self { stop, asking })
    }

    #[expect(clippy::disallowed_methods, reason = "on a thread of its own")]
    fn ask(connection: &mut TcpStream, stop: &AtomicBool) -> io::Result<Duration> {
        let (mut longest, mut pong) = (Duration::ZERO, [0; 7]);
        while !stop.load(Relaxed) {
            let began = Instant::now();
            connection.write_all(b"PING\r\n")?;
            connection.read_exact(&mut pong)?;
            longest = longest.max(began.elapsed());
            thread::sleep(EVERY);
        }
        Ok(longest)
    }

    /// Returns the longest response time in milliseconds.
    fn longest(self) -> Result<f64> {
        self.stop.store(true, Relaxed);
        let longest = self.asking.join().map_err(|_| anyhow!("the prober has panicked"))??;
        Ok(longest.as_secs_f64() * 1e3)
    }
}
