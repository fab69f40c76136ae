//! Redis as a cluster: consumers find the server of the stream, and follow it to another one.

use std::ops::RangeInclusive;

use outbox::RedisAddress;
use outbox::consumer::{ChannelSubscription, Consumer, Delivery, Resync, Subscription};
use testkit::{RedisCluster, eventually};

use crate::support::{
    AT_MOST, CHANNEL, GROUP, LETTERS, Log, ORDER_EVENTS, Recorder, STREAM, applied, event, reads, settings,
};

/// Adds events to the log, to the stream and to the channel, on the server that has the stream.
async fn append(cluster: &RedisCluster, log: &Log, numbers: RangeInclusive<u64>) {
    let server = cluster.primary_of(STREAM).await.unwrap();
    for seq in numbers {
        log.add(seq, serde_json::from_str(&event(seq)).unwrap());
        server.cli(&["XADD", STREAM, &format!("{seq}-0"), "event", &event(seq)]).await.unwrap();
        server.cli(&["PUBLISH", CHANNEL, &event(seq)]).await.unwrap();
    }
}

/// A member of a group, a reader of all events, and a listener to the channel.
struct Consumers {
    all: [Consumer; 3],
    recorders: [Recorder; 3],
}

impl Consumers {
    async fn start(cluster: &RedisCluster, log: &Log) -> Self {
        let redis = RedisAddress::parse(&cluster.url()).unwrap();
        let recorders = [Recorder::new(), Recorder::new(), Recorder::new()];
        recorders[0].store_position(0);
        let start = |delivery: Delivery, recorder: &Recorder| {
            let dead_letters = LETTERS.to_owned();
            let subscription = Subscription { source: ORDER_EVENTS, delivery, dead_letters, log: log.client() };
            Consumer::start(&settings(), &redis, subscription, recorder.clone())
        };
        let channel = ChannelSubscription {
            stream: STREAM,
            channel: CHANNEL,
            types: ORDER_EVENTS.types,
            command_timeout: AT_MOST,
        };
        let all = [
            start(Delivery::Group(GROUP), &recorders[0]),
            start(Delivery::Log(0.into()), &recorders[1]),
            Consumer::listen(&redis, channel, recorders[2].clone()),
        ];
        for consumer in &all {
            reads(consumer).await;
        }
        Self { all, recorders }
    }

    /// Waits until every consumer has applied exactly these events.
    async fn have_applied(&self, numbers: RangeInclusive<u64>) {
        for recorder in &self.recorders {
            applied(recorder, numbers.clone()).await;
        }
    }

    /// Waits until the listener has subscribed this often: it resyncs after each subscription.
    async fn until_subscribed(&self, times: usize) {
        let is_there = async || self.recorders[2].resyncs() == vec![Resync::Unsubscribed; times];
        eventually("the listener subscribes where the stream is", AT_MOST, is_there).await;
    }

    async fn stop(self) {
        for consumer in self.all {
            consumer.stop().await;
        }
    }
}

#[tokio::test]
async fn consumers_follow_a_stream_whose_slot_moves() {
    let (cluster, log) = (RedisCluster::start().await.unwrap(), Log::start().await);
    let consumers = Consumers::start(&cluster, &log).await;
    append(&cluster, &log, 1..=3).await;
    consumers.have_applied(1..=3).await;
    cluster.migrate(STREAM, async || {}).await.unwrap();
    consumers.until_subscribed(2).await;
    append(&cluster, &log, 4..=5).await;
    consumers.have_applied(1..=5).await;
    consumers.stop().await;
}

#[tokio::test]
async fn consumers_survive_the_death_of_the_primary_that_has_the_stream() {
    let (cluster, log) = (RedisCluster::start().await.unwrap(), Log::start().await);
    let consumers = Consumers::start(&cluster, &log).await;
    append(&cluster, &log, 1..=3).await;
    consumers.have_applied(1..=3).await;
    let primary = cluster.primary_of(STREAM).await.unwrap();
    primary.cli(&["WAIT", "1", "10000"]).await.unwrap();
    primary.kill().await.unwrap();
    let is_replaced = async || cluster.primary_of(STREAM).await.is_ok_and(|now| now.port() != primary.port());
    eventually("another primary has the stream", AT_MOST, is_replaced).await;
    consumers.until_subscribed(2).await;
    append(&cluster, &log, 4..=6).await;
    consumers.have_applied(1..=6).await;
    consumers.stop().await;
}

/// The group goes back on the server that has the stream, after the slot has moved, too.
#[tokio::test]
async fn group_on_a_cluster_goes_back_to_the_position_of_a_restored_database() {
    let (cluster, log) = (RedisCluster::start().await.unwrap(), Log::start().await);
    let consumers = Consumers::start(&cluster, &log).await;
    append(&cluster, &log, 1..=4).await;
    consumers.have_applied(1..=4).await;
    let member = &consumers.recorders[0];
    member.store_position(2);
    applied(member, [1, 2, 3, 4, 3, 4]).await;
    cluster.migrate(STREAM, async || {}).await.unwrap();
    member.store_position(3);
    applied(member, [1, 2, 3, 4, 3, 4, 4]).await;
    consumers.stop().await;
}

/// A dead letter is in another slot than the stream.
#[tokio::test]
async fn dead_letters_are_written_on_a_cluster() {
    let (cluster, log) = (RedisCluster::start().await.unwrap(), Log::start().await);
    let consumers = Consumers::start(&cluster, &log).await;
    let server = cluster.primary_of(STREAM).await.unwrap();
    server.cli(&["XADD", STREAM, "1-0", "event", "not an event"]).await.unwrap();
    let letters = async || {
        let letters = cluster.primary_of(LETTERS).await.unwrap().cli(&["XLEN", LETTERS]).await;
        letters.is_ok_and(|count| count == "2")
    };
    eventually("a dead letter of the group, and one of the reader", AT_MOST, letters).await;
    consumers.stop().await;
}
