//! The names of entries and tags: which ones are refused, and keys that another keyspace has made.

use cache::error::{ConnectError, GetError, InvalidName, LoadError};
use cache::memory::Memory;
use cache::{Cache, CacheClient, CacheSettings, Invalidation, Key, Keyspace, NewEntry, Tag};
use testkit::Redis;

use crate::support::{DatabaseError, existing, patient, redis, settings};

/// A client on a server, and one in memory.
async fn clients(redis: &Redis, keyspace: &Keyspace) -> [CacheClient; 2] {
    let on_server = CacheClient::connect_with(keyspace.clone(), &settings(redis.url())).await.unwrap();
    [on_server, CacheClient::in_memory(keyspace.clone(), &Memory::new())]
}

async fn load(texts: &Cache<String>, id: &str, tag: Tag) -> Result<Option<String>, GetError> {
    let text = move || {
        let entry = NewEntry::value(&"text".to_owned()).tag(tag.clone());
        async move { Ok::<_, DatabaseError>(entry) }
    };
    texts.get_or_load(id, text).await
}

#[tokio::test]
async fn empty_and_oversized_names_are_refused_in_a_sentence() {
    let redis = redis().await;
    for client in clients(&redis, &Keyspace::new("shop").unwrap()).await {
        let texts = client.cache::<String>("text", patient()).unwrap();
        let valid = || Tag::new("shelf", 1);
        let (long_id, long_tag) = ("i".repeat(Key::LONGEST), "t".repeat(Tag::LONGEST));
        for (id, tag, expected) in [
            ("", valid(), "the id of an entry of the cache `text` is empty"),
            (long_id.as_str(), valid(), "the key of an entry has 65546 bytes, and a key has at most 65536"),
            ("1", Tag::new("", 1), "the tag `:1` has an empty kind or an empty id"),
            ("1", Tag::new("shelf", ""), "the tag `shelf:` has an empty kind or an empty id"),
            ("1", Tag::new("shelf", &long_tag), "a tag has 1030 bytes, and a tag has at most 1024"),
        ] {
            let refused = load(&texts, id, tag).await.unwrap_err();
            assert!(matches!(refused, GetError::Load(LoadError::Name(_))), "{refused:?}");
            assert_eq!(refused.to_string(), expected);
        }
        // The longest names.
        let (id, tag) = (&long_id["shop:text:".len()..], Tag::new("shelf", &long_tag["shelf:".len()..]));
        assert_eq!(load(&texts, id, tag.clone()).await.unwrap().as_deref(), Some("text"));
        assert_eq!(client.invalidate_tag(tag).await.acknowledged(), Ok(1));
        client.shutdown(std::time::Duration::ZERO).await;
    }
    assert_eq!(existing(&redis, &["shop:text:", "shop:text:1"]).await, 0, "nothing was stored");
    assert_eq!(InvalidName::LongTag(1).to_string(), "a tag has 1 bytes, and a tag has at most 1024");
}

#[test]
fn a_colon_separates_the_kind_of_a_tag_from_its_id() {
    assert_ne!(Tag::new("a:b", "c"), Tag::new("a", "b:c"));
    assert_eq!(Tag::new("a", "b:c").as_str(), "a:b:c");
    let tag = Tag::new("a:b", "c");
    assert_eq!(Tag::parse(tag.as_str()), Some(tag));
}

/// A program that changes the number of partitions, or tests in memory, may use the keys of an earlier keyspace.
#[tokio::test]
async fn key_of_another_keyspace_names_the_entry_of_this_one() {
    let redis = redis().await;
    let (one, many) = (Keyspace::new("shop").unwrap(), Keyspace::partitioned("many", 16).unwrap());
    for own in [&one, &many] {
        for client in clients(&redis, own).await {
            let texts = client.cache::<String>("text", patient()).unwrap();
            for other in [&one, &many] {
                for id in 0..40 {
                    load(&texts, &id.to_string(), Tag::new("shelf", 1)).await.unwrap();
                    let key = other.key("text", id);
                    assert!(client.inspect(&key).await.unwrap().is_some(), "{key}");
                    let gone = match id % 3 {
                        0 => client.invalidate(Invalidation::hard().key(key)).await,
                        1 => client.invalidate(Invalidation::hard().key_older_than(key, 1)).await,
                        _ => {
                            let lease = std::time::Duration::from_secs(60);
                            client.guard(Invalidation::hard().key(key), lease).await.release().await.invalidated
                        }
                    };
                    gone.acknowledged().unwrap();
                    assert!(client.inspect(&texts.key(id)).await.unwrap().is_none(), "{id}");
                }
            }
            client.shutdown(std::time::Duration::ZERO).await;
        }
    }
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_in_a_sentence() {
    use std::time::Duration;
    type Change = fn(&mut CacheSettings);
    let changes: [(Change, &str); 5] = [
        (|settings| settings.command_timeout = Duration::ZERO, "`command_timeout` must be more than zero"),
        (|settings| settings.breaker_threshold = 0, "`breaker_threshold` must be at least 1"),
        (|settings| settings.max_loads = 0, "`max_loads` must be between 1 and"),
        (|settings| settings.max_loads = usize::MAX, "`max_loads` must be between 1 and"),
        (|settings| settings.near_bound = Some(Duration::MAX), "`near_bound` must be at most an hour"),
    ];
    for (change, expected) in changes {
        let mut settings = CacheSettings::default();
        change(&mut settings);
        let refused = CacheClient::connect_with(Keyspace::new("shop").unwrap(), &settings).await.unwrap_err();
        assert!(matches!(refused, ConnectError::Settings(_)), "{refused:?}");
        assert!(refused.to_string().starts_with(expected), "{refused}");
    }
}
