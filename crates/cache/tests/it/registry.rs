//! The registry names every member of a tag set. A member is removed soon after its entry is gone, and costs nothing
//! until then. So the number of existing entries bounds the tag sets, with any requests of clients.

use std::time::Duration;

use cache::outcome::{Fill, FillRefusal};
use cache::{CacheClient, CacheSettings, Keyspace, NewEntry, Outcome, Policy, Tag};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use testkit::{Redis, eventually};

use crate::support::{LONG, Node, Row, SOON, calls, existing, node, number, patient, redis, settings, shelf};

const REGISTRY: &str = "shop:~registered";

async fn sweeping(redis: &Redis) -> Node {
    let settings = CacheSettings { sweep_rest: Duration::from_millis(10), ..settings(redis.url()) };
    Node::with(&settings, patient()).await
}

/// Returns the number of tag sets, including those that invalidations have moved aside.
async fn sets(redis: &Redis) -> usize {
    let script = "return #redis.call('KEYS', 'shop:~tag:*') + #redis.call('KEYS', 'shop:~drain:*')";
    number(redis, &["EVAL", script, "0"]).await as usize
}

/// Returns the number of tag set members without a registration: nothing would ever remove them.
async fn unregistered(redis: &Redis) -> i64 {
    let script = "
        local named, lost = {}, 0
        for _, registration in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
          local bare, tags = string.match(registration, '^(%S+) (%S+)$')
          for tag in string.gmatch(tags, '[^,]+') do named[tag .. ' ' .. bare] = true end
        end
        for _, kind in ipairs({ 'shop:~tag:', 'shop:~drain:' }) do
          for _, set in ipairs(redis.call('KEYS', kind .. '*')) do
            for _, member in ipairs(redis.call('SMEMBERS', set)) do
              if not named[string.sub(set, #kind + 1) .. ' ' .. member] then lost = lost + 1 end
            end
          end
        end
        return lost";
    number(redis, &["EVAL", script, "1", REGISTRY]).await
}

#[tokio::test]
async fn every_member_of_a_tag_set_is_registered_after_random_steps() {
    let redis = redis().await;
    let node = sweeping(&redis).await;
    let brief = node.under(Policy::ttl(Duration::from_millis(30)).negative_ttl(Duration::from_millis(10)));
    let mut sample = StdRng::seed_from_u64(11);
    for step in 0..1_500 {
        let (id, row) =
            (sample.random_range(0..60), Row::new([shelf(sample.random_range(0..5)), shelf(10 + step % 7)]));
        match sample.random_range(0..100) {
            0..5 => _ = node.remove(id).await,
            5..10 => _ = node.expire(id).await,
            10..13 => _ = node.remove_tag(shelf(sample.random_range(0..17))).await,
            13..15 => _ = node.expire_tag(shelf(sample.random_range(0..17))).await,
            15..20 => _ = redis.cli(&["DEL", &format!("shop:item:{id}")]).await.unwrap(),
            // As when a process dies in the middle of an invalidation.
            20 => _ = redis.cli(&["RENAME", "shop:~tag:shelf:1", "shop:~drain:shelf:1"]).await,
            21..60 => _ = brief.read(id, &row).await,
            _ => _ = node.read(id, &row).await,
        }
        if step % 100 == 0 {
            assert_eq!(unregistered(&redis).await, 0, "after step {step}");
        }
    }
    assert_eq!(unregistered(&redis).await, 0);
    for id in 0..60 {
        node.remove(id).await;
    }
    eventually("the end of all tag sets", SOON, async || sets(&redis).await == 0).await;
    assert_eq!(existing(&redis, &[REGISTRY]).await, 0);
}

/// Ten thousand tags that are not due cost the sweep nothing.
#[tokio::test]
async fn sweep_removes_due_registrations_and_no_others() {
    let (redis, node) = node().await;
    let many = "for id = 1, 10000 do
        redis.call('SET', 'shop:item:' .. id, 'V', 'PX', 600000)
        redis.call('SADD', 'shop:~tag:shelf:' .. id, 'item:' .. id)
        redis.call('ZADD', KEYS[1], 9e15, 'item:' .. id .. ' shelf:' .. id)
      end";
    redis.cli(&["EVAL", many, "1", REGISTRY]).await.unwrap();
    let brief = node.under(Policy::ttl(Duration::from_millis(50)));
    for id in 20_000..20_300 {
        brief.read(id, &Row::new([shelf(id)])).await;
    }
    // The sweep finds due registrations at once. By random samples, finding 300 among 10,000 would take some hundred
    // rounds of a second each.
    let settings = CacheSettings { sweep_rest: Duration::from_secs(1), ..settings(redis.url()) };
    let sweeping = Node::with(&settings, patient()).await;
    eventually("the end of what is due", SOON, async || sets(&redis).await == 10_000).await;
    redis.cli(&["CONFIG", "RESETSTAT"]).await.unwrap();
    eventually("some rounds", SOON, async || calls(&redis, "evalsha").await >= 3).await;
    sweeping.client.shutdown(SOON).await;
    let (rounds, looks) = (calls(&redis, "evalsha").await, calls(&redis, "pttl").await);
    assert!(looks <= 128 * rounds, "{looks} looks in {rounds} rounds");
    assert_eq!(sets(&redis).await, 10_000);
}

/// The sweep finds by random samples what is gone before it is due, and continues while it finds much.
#[tokio::test]
async fn tag_sets_of_evicted_entries_are_swept_long_before_they_are_due() {
    let redis = redis().await;
    let node = sweeping(&redis).await;
    for first in (0..5_000).step_by(500) {
        node.fill_many(first..first + 500, &Row::new([shelf(first), shelf(7)])).await;
    }
    redis.cli(&["EVAL", "for id = 100, 4999 do redis.call('DEL', 'shop:item:' .. id) end", "0"]).await.unwrap();
    eventually("the sweep", SOON, async || number(&redis, &["SCARD", "shop:~tag:shelf:7"]).await == 100).await;
    eventually("the sweep", SOON, async || sets(&redis).await == 2).await;
    assert_eq!(node.remove_tag(shelf(0)).await, 100, "the living ones are still registered");
}

/// The clock of Redis was set forward, or an entry was filled again with other tags: existing entries stay registered.
#[tokio::test]
async fn sweep_keeps_the_registration_of_an_entry_that_outlives_its_score() {
    let (redis, node) = node().await;
    node.fill_many(0..50, &Row::new([shelf(1)])).await;
    let due = "for id = 0, 49 do redis.call('ZADD', KEYS[1], 1, 'item:' .. id .. ' shelf:1') end";
    redis.cli(&["EVAL", due, "1", REGISTRY]).await.unwrap();
    let _sweeping = sweeping(&redis).await;
    eventually("the sweep", SOON, async || number(&redis, &["ZCOUNT", REGISTRY, "0", "1"]).await == 0).await;
    assert_eq!(number(&redis, &["ZCARD", REGISTRY]).await, 50);
    assert_eq!(node.remove_tag(shelf(1)).await, 50);
}

/// More tags than Lua can pass to one command.
#[tokio::test]
async fn entry_with_20_000_tags_is_stored_fenced_removed_and_swept() {
    let redis = redis().await;
    // On a busy machine, its commit takes seconds.
    let node = Node::with(&CacheSettings { command_timeout: LONG, ..settings(redis.url()) }, patient()).await;
    let tags = || (0..20_000).map(shelf);
    let row = Row::new(tags());
    node.fill(1, &row).await;
    for tag in [0, 249, 250, 9_999, 19_999] {
        row.commit();
        assert_eq!(node.remove_tag(shelf(tag)).await, 1, "tag {tag}");
        assert_eq!(node.read(1, &row).await.version(), Some(row.version()));
    }
    for (id, tag) in [(2, 0), (3, 250), (4, 19_999)] {
        let (reading, loading) = node.loading(id, &row).await;
        row.commit();
        node.remove_tag(shelf(tag)).await;
        loading.finish();
        assert_eq!(reading.value().await.outcome(), Outcome::Miss(Fill::Refused(FillRefusal::Fenced)), "tag {tag}");
    }
    node.read(1, &row).await;
    assert_eq!(unregistered(&redis).await, 0);
    node.remove(1).await;
    let _sweeping = sweeping(&redis).await;
    eventually("the sweep", SOON, async || sets(&redis).await == 0).await;
}

/// The fills exceed the memory of Redis many times. Each entry has two tags of its own that are never named again, and
/// no registration is due during the test. No fill is refused for lack of memory, and other programs can write
/// throughout.
#[tokio::test]
async fn flood_of_entries_with_tags_of_their_own_does_not_fill_redis() {
    const LIMIT: i64 = 4 << 20;
    let redis = Redis::start_with(&[("maxmemory", "4mb"), ("maxmemory-policy", "volatile-lru")]).await.unwrap();
    let client = CacheClient::connect_with(Keyspace::new("shop").unwrap(), &settings(redis.url())).await.unwrap();
    let cache = client.cache::<String>("item", patient()).unwrap();
    let fill = |id: u32| {
        let cache = cache.clone();
        async move {
            let load = move || async move {
                Ok::<_, std::io::Error>(NewEntry::absent().tags([Tag::new("one", id), Tag::new("two", id)]))
            };
            cache.read(id, load).await.unwrap().outcome()
        }
    };
    for first in (0..8_000).step_by(200) {
        let outcomes = futures_util::future::join_all((first..first + 200).map(fill)).await;
        // Redis may also evict the lease of a load; then the next reader loads again. It never runs out of memory.
        let lost = |outcome: &&Outcome| **outcome == Outcome::Miss(Fill::Refused(FillRefusal::LeaseLost));
        let evicted_leases = outcomes.iter().filter(lost).count();
        let stored = outcomes.iter().filter(|outcome| **outcome == Outcome::Miss(Fill::Stored)).count();
        assert_eq!(stored + evicted_leases, 200, "after {first} fills: {outcomes:?}");
        assert!(evicted_leases < 50, "{evicted_leases} leases were evicted after {first} fills");
        if first % 1_000 == 0 {
            redis.cli(&["XADD", "shop:events", "MAXLEN", "1000", "*", "event", "{}"]).await.unwrap();
        }
    }
    let evicted = redis.cli(&["INFO", "stats"]).await.unwrap();
    let evicted: u64 =
        evicted.lines().find_map(|line| line.strip_prefix("evicted_keys:")?.trim().parse().ok()).unwrap();
    assert!(evicted > 3_000, "{evicted} evictions: the flood would have fit");
    let memory = redis.cli(&["INFO", "memory"]).await.unwrap();
    let used: i64 = memory.lines().find_map(|line| line.strip_prefix("used_memory:")?.trim().parse().ok()).unwrap();
    assert!(used < LIMIT + (1 << 20), "{used} bytes");
    let entries = number(&redis, &["EVAL", "return #redis.call('KEYS', 'shop:item:*')", "0"]).await;
    let registered = number(&redis, &["ZCARD", REGISTRY]).await;
    assert!(entries > 500 && registered < 2 * entries, "{registered} registrations for {entries} entries");
}
