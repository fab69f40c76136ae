//! Streams and channels: only the owner writes them, and only the consumers read them.

use anyhow::Result;

use super::guarded::{Guarded, USERS};

/// The consumers of the streams of other services, and whether each uses a consumer group.
const READERS: [(&str, &str, bool); 4] = [
    ("cart", "product:events", true),
    ("recommendation", "product:events", true),
    ("recommendation", "cart:events", true),
    ("search", "product:events", false),
];

/// Commands of every consumer. `{}` stands for the stream.
const READ: [&str; 2] = ["XINFO STREAM {}", "XRANGE {} - +"];

/// Commands of a consumer without a group.
const READ_ALONE: [&str; 1] = ["XREAD COUNT 10 BLOCK 10 STREAMS {} 0-0"];

/// Commands of the members of a group, in an order in which each has an effect.
const READ_IN_A_GROUP: [&str; 9] = [
    "XGROUP CREATE {} [] 0-0 MKSTREAM", "XREADGROUP GROUP [] me COUNT 2 STREAMS {} >", "XINFO GROUPS {}",
    "XINFO CONSUMERS {} []", "XPENDING {} [] IDLE 0 - + 10", "XREVRANGE {} (2-0 - COUNT 1", "XACK {} [] 1-0",
    "XCLAIM {} [] you 0 2-0 JUSTID", "XGROUP DELCONSUMER {} [] me",
];

/// The services whose relay appends to their stream: it compares the end of the stream with its database.
const RELAYS: [&str; 2] = ["product-api", "cart"];

/// Only the recommendation service resets its group, when its own database was restored.
const SET_BACK: [&str; 1] = ["XGROUP SETID {} [] 0"];

/// Read commands that no service needs.
const READ_OTHERWISE: [&str; 3] = ["XLEN {}", "XAUTOCLAIM {} [] me 0 0-0", "XGROUP CREATECONSUMER {} [] third"];

/// Commands that only the owner of a stream may run on it.
const CHANGE: [&str; 11] = [
    "XADD {} * event x", "XADD {} 9-0 event x", "XDEL {} 1-0", "XTRIM {} MAXLEN 0", "XSETID {} 99-0",
    "XGROUP DESTROY {} []", "DEL {}", "UNLINK {}", "PEXPIRE {} 1", "RENAME {} elsewhere", "SET {} x",
];

fn words(case: &str, stream: &str, group: &str) -> Vec<String> {
    case.split(' ').map(|word| word.replace("{}", stream).replace("[]", group)).collect()
}

async fn all(guarded: &Guarded, user: &str, stream: &str, cases: &[&str], may: bool) -> Result<()> {
    for case in cases {
        let words = words(case, stream, user);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match may {
            true => drop(guarded.may(user, &words).await?),
            false => guarded.may_not(user, &words).await?,
        }
    }
    Ok(())
}

/// Returns a server with three events in the stream of each keyspace, appended by its owner.
async fn streams() -> Result<Guarded> {
    let guarded = Guarded::start().await?;
    for (user, keyspace) in USERS {
        for id in ["1-0", "2-0", "3-0"] {
            guarded.may(user, &["XADD", &format!("{keyspace}:events"), id, "event", "{}"]).await?;
        }
    }
    Ok(guarded)
}

#[tokio::test]
async fn stream_is_readable_only_by_its_consumers() -> Result<()> {
    let guarded = streams().await?;
    let look = guarded.script("return redis.call('XRANGE', KEYS[1], '-', '+')").await?;
    for (user, own) in USERS {
        for stream in USERS.map(|(_, keyspace)| format!("{keyspace}:events")) {
            let reader = READERS.iter().find(|(reader, of, _)| *reader == user && *of == stream);
            if stream != format!("{own}:events") {
                all(&guarded, user, &stream, &READ, reader.is_some()).await?;
            }
            all(&guarded, user, &stream, &READ_ALONE, reader.is_some_and(|(_, _, group)| !group)).await?;
            all(&guarded, user, &stream, &READ_IN_A_GROUP, reader.is_some_and(|(_, _, group)| *group)).await?;
            all(&guarded, user, &stream, &SET_BACK, reader.is_some() && user == "recommendation").await?;
            all(&guarded, user, &stream, &READ_OTHERWISE, false).await?;
            match reader.is_some() || (RELAYS.contains(&user) && stream == format!("{own}:events")) {
                true => drop(guarded.may(user, &["EVALSHA", &look, "1", &stream]).await?),
                false => guarded.may_not(user, &["EVALSHA", &look, "1", &stream]).await?,
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn stream_is_writable_only_by_its_owner() -> Result<()> {
    let guarded = streams().await?;
    let append = guarded.script("return redis.call('XADD', KEYS[1], '*', 'event', 'forged')").await?;
    let remove = guarded.script("return redis.call('UNLINK', KEYS[1])").await?;
    let hidden = guarded.script("return redis.call('XADD', ARGV[1], '*', 'event', 'forged')").await?;
    for (user, own) in USERS {
        for stream in USERS.iter().filter(|(_, other)| *other != own).map(|(_, other)| format!("{other}:events")) {
            all(&guarded, user, &stream, &CHANGE, false).await?;
            for script in [&append, &remove] {
                guarded.may_not(user, &["EVALSHA", script, "1", &stream]).await?;
            }
            guarded.may_not(user, &["EVALSHA", &hidden, "0", &stream]).await?;
        }
    }
    for (_, keyspace) in USERS {
        assert_eq!(guarded.may("default", &["XLEN", &format!("{keyspace}:events")]).await?, ":3");
    }
    Ok(())
}

#[tokio::test]
async fn product_channel_accepts_messages_only_from_the_product_api() -> Result<()> {
    let guarded = Guarded::start().await?;
    let publish = guarded.script("return redis.call('PUBLISH', ARGV[1], 'forged')").await?;
    for (user, _) in USERS {
        guarded.may(user, &["SUBSCRIBE", "product:updates"]).await?;
        guarded.may_not(user, &["SUBSCRIBE", "product:updates", "cart:updates"]).await?;
        guarded.may_not(user, &["PSUBSCRIBE", "product:*"]).await?;
        let speaks = ["PUBLISH", "product:updates", "x"];
        let by_script = ["EVALSHA", &publish, "0", "product:updates"];
        if user == "product-api" {
            guarded.may(user, &speaks).await?;
            guarded.may(user, &by_script).await?;
        } else {
            guarded.may_not(user, &speaks).await?;
            guarded.may_not(user, &by_script).await?;
        }
    }
    Ok(())
}
