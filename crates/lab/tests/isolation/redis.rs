//! Keys, commands and logins: a service has its own keyspace, and nothing that is meant for an operator.

use anyhow::Result;
use tokio::process::Command;

use crate::deploy;
use crate::guarded::{Guarded, USERS, variable};

/// What every service does with its own keys, `{}` being its keyspace.
const OWN: [&str; 21] = [
    "SET {}:a 1 PX 1000",
    "GET {}:a",
    "GETRANGE {}:a 0 10",
    "SADD {}:~tag:t {}:a",
    "SSCAN {}:~tag:t 0",
    "HSET {}:~fence:t number 1",
    "RENAME {}:~tag:t {}:~tag:u",
    "UNLINK {}:~tag:u",
    "ZADD {}:~horizon GT 7 t",
    "ZMSCORE {}:~horizon t",
    "XADD {}:~dead-letters MAXLEN ~ 10 * reason x",
    "XADD {}:stream 1-0 event {}",
    "XGROUP CREATE {}:stream g 0",
    "EVAL return 1 1 {}:a",
    "SCRIPT LOAD return(1)",
    "EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 1 {}:a", // return 1
    "MULTI",
    "SCAN 0 MATCH {}:* COUNT 10",
    "TIME",
    "INFO memory",
    "CLIENT INFO",
];

/// What no service may do, even if it names its own keys.
const NEVER: [&str; 45] = [
    "KEYS {}:*",
    "RANDOMKEY",
    "FLUSHALL",
    "FLUSHDB",
    "SWAPDB 0 1",
    "SORT {}:list",
    "MIGRATE 127.0.0.1 1 {}:key 0 10",
    "CONFIG GET *",
    "CONFIG SET maxmemory 1",
    "DEBUG SLEEP 0",
    "MONITOR",
    "SHUTDOWN NOSAVE",
    "SAVE",
    "BGSAVE",
    "BGREWRITEAOF",
    "REPLICAOF NO ONE",
    "ROLE",
    "PSYNC ? -1",
    "FAILOVER",
    "CLUSTER INFO",
    "MODULE LIST",
    "SLOWLOG GET",
    "LATENCY RESET",
    "MEMORY PURGE",
    "LASTSAVE",
    "ACL LIST",
    "ACL WHOAMI",
    "ACL SETUSER me on nopass ~* +@all",
    "ACL LOAD",
    "SCRIPT FLUSH",
    "SCRIPT KILL",
    "FUNCTION LIST",
    "FUNCTION FLUSH",
    "FUNCTION DELETE lib",
    "FCALL f 1 {}:key",
    "CLIENT LIST",
    "CLIENT KILL TYPE normal",
    "CLIENT PAUSE 1",
    "CLIENT NO-EVICT on",
    "CLIENT TRACKING on BCAST",
    "PUBSUB CHANNELS",
    "PSUBSCRIBE *",
    "SUBSCRIBE __keyspace@0__:secret",
    "PUBLISH somewhere x",
    "SPUBLISH somewhere x",
];

/// What no service may do with a key of another one, `{}` being its own keyspace and `[]` the other's.
const FOREIGN: [&str; 22] = [
    "GET []:key",
    "SET []:key 1",
    "DEL []:key",
    "UNLINK []:key",
    "EXISTS []:key",
    "TYPE []:key",
    "PEXPIRE []:key 1",
    "GETDEL []:key",
    "APPEND []:key 1",
    "DUMP []:key",
    "OBJECT ENCODING []:key",
    "MGET {}:key []:key",
    "COPY []:key {}:copy",
    "RENAME []:key {}:copy",
    "SUNIONSTORE {}:copy []:key",
    "BITOP OR {}:copy []:key",
    "WATCH []:key",
    "ZADD []:~horizon 1 t",
    "XADD []:~dead-letters * a b",
    "EVAL return 1 1 []:key",
    "EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 1 []:key",
    "EVAL return(redis.call('DEL','[]:key')) 0", // a key that the script does not announce
];

/// `EVAL return 1 …` has a blank inside an argument; nothing else has.
fn words(case: &str) -> Vec<String> {
    let joined = case.replace("return 1 ", "return\u{a0}1 ");
    joined.split(' ').map(|word| word.replace('\u{a0}', " ")).collect()
}

async fn each(guarded: &Guarded, user: &str, cases: &[String], may: bool) -> Result<()> {
    for case in cases {
        let words = words(case);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match may {
            true => drop(guarded.may(user, &words).await?),
            false => guarded.may_not(user, &words).await?,
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_service_can_do_with_its_own_keys_what_it_needs() -> Result<()> {
    let guarded = Guarded::start().await?;
    for (user, keyspace) in USERS {
        each(&guarded, user, &OWN.map(|case| case.replace("{}", keyspace)), true).await?;
    }
    Ok(())
}

#[tokio::test]
async fn no_service_can_do_what_is_meant_for_an_operator() -> Result<()> {
    let guarded = Guarded::start().await?;
    for (user, keyspace) in USERS {
        each(&guarded, user, &NEVER.map(|case| case.replace("{}", keyspace)), false).await?;
    }
    Ok(())
}

#[tokio::test]
async fn no_service_can_reach_a_key_of_another() -> Result<()> {
    let guarded = Guarded::start().await?;
    guarded.script("return 1").await?;
    for (user, own) in USERS {
        for (_, other) in USERS.iter().filter(|(_, other)| *other != own) {
            each(&guarded, user, &FOREIGN.map(|case| case.replace("{}", own).replace("[]", other)), false).await?;
        }
    }
    for (_, keyspace) in USERS {
        let key = format!("{keyspace}:key");
        assert_eq!(guarded.may("default", &["STRLEN", &key]).await?, ":9", "{key} is still `untouched`");
        assert_eq!(guarded.may("default", &["TTL", &key]).await?, ":-1");
    }
    Ok(())
}

#[tokio::test]
async fn nobody_gets_in_without_a_password_or_with_another_ones() -> Result<()> {
    let guarded = Guarded::start().await?;
    assert!(guarded.reply_to_stranger(&[], &["PING"]).await?.starts_with("-NOAUTH"));
    let cart = guarded.password_of("cart");
    for user in ["default", "product-api", "search", "recommendation", "nobody"] {
        let reply = guarded.reply_to_stranger(&[user, cart], &["PING"]).await?;
        assert!(reply.starts_with("-WRONGPASS"), "{user} with the password of cart: {reply}");
    }
    assert_eq!(guarded.reply_to_stranger(&["cart", cart], &["PING"]).await?, "+PONG");
    Ok(())
}

#[tokio::test]
async fn a_user_without_a_password_is_not_rendered() -> Result<()> {
    for missing in ["default", "product-api", "cart", "search", "recommendation"] {
        let mut script = Command::new(deploy("redis/render-acl"));
        for user in ["default", "product-api", "cart", "search", "recommendation"] {
            script.env(variable(user), "secret");
        }
        let output = script.env(variable(missing), "").output().await?;
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && complaint.contains(&variable(missing)), "{missing}: {complaint}");
        assert!(!String::from_utf8_lossy(&output.stdout).contains(&format!("user {missing} ")));
    }
    Ok(())
}
