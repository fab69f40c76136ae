//! Keys, commands and logins: a service has its own keyspace, and only the commands that it needs.

use anyhow::Result;
use tokio::process::Command;

use super::deploy;
use super::guarded::{Guarded, USERS, variable};

/// Commands that every service may run on its own keys. `{}` stands for its keyspace.
const OWN: [&str; 37] = [
    "CLIENT ID", "CLIENT INFO", "INFO server", "INFO memory", "TIME", "EVAL return 1 1 {}:a", "SCRIPT LOAD return(1)",
    "EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 1 {}:a", // return 1
    "SET {}:a 1 PX 1000", "GET {}:a", "MGET {}:a {}:b", "GETRANGE {}:a 0 10", "EXISTS {}:a", "PTTL {}:a",
    "SCAN 0 MATCH {}:* COUNT 10 TYPE string", "HSETNX {}:~fence gen 1", "HSET {}:~fence floor 1",
    "HINCRBY {}:~fence clk 1", "HGET {}:~fence clk", "HMGET {}:~fence gen clk", "HLEN {}:~fence", "SADD {}:~tag:t a",
    "SCARD {}:~tag:t", "SSCAN {}:~tag:t 0 COUNT 10", "ZADD {}:~registered 1 a", "ZREM {}:~registered b",
    "ZRANGE {}:~registered -inf 7 BYSCORE LIMIT 0 4", "ZRANDMEMBER {}:~registered 4", "RENAME {}:~tag:t {}:~drain:t",
    "SREM {}:~drain:t b", "SPOP {}:~drain:t 10", "UNLINK {}:a", "XADD {}:~dead-letters MAXLEN ~ 10 * reason x",
    "XADD {}:events 1-0 event {}", "EVAL return(redis.call('GET',KEYS[1])) 1 {}:a",
    "EVAL return(redis.call('UNLINK',KEYS[1])) 1 {}:a", "EVAL return(redis.call('TIME')) 0",
];

/// Commands that only some services may run on their own keys.
const OWN_OF_SOME: [(&str, &[&str]); 5] = [
    ("ZCARD {}:~horizon", &["search"]),
    ("ZSCORE {}:~horizon t", &["search"]),
    ("ZMSCORE {}:~horizon t u", &["search"]),
    ("ZREMRANGEBYSCORE {}:~horizon (0 (7", &["search"]),
    ("XINFO STREAM {}:events", &["product-api", "cart"]),
];

/// Commands that no service may run, even on its own keys: those for operators, and a sample of those that no service
/// needs.
const NEVER: [&str; 84] = [
    "KEYS {}:*",
    "RANDOMKEY",
    "DBSIZE",
    "FLUSHALL",
    "FLUSHDB",
    "SWAPDB 0 1",
    "SELECT 0",
    "SELECT 1",
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
    "WAIT 0 0",
    "CLUSTER INFO",
    "COMMAND COUNT",
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
    "SCRIPT EXISTS e0e1f9fabfc9d4800c877a703b823ac0578ff8db",
    "EVAL_RO return 1 1 {}:key",
    "FUNCTION LIST",
    "FUNCTION FLUSH",
    "FUNCTION DELETE lib",
    "FCALL f 1 {}:key",
    "CLIENT LIST",
    "CLIENT KILL TYPE normal",
    "CLIENT PAUSE 1",
    "CLIENT SETNAME me",
    "CLIENT NO-EVICT on",
    "CLIENT TRACKING on BCAST",
    "PUBSUB CHANNELS",
    "PSUBSCRIBE *",
    "SUBSCRIBE __keyspace@0__:secret",
    "PUBLISH somewhere x",
    "SPUBLISH somewhere x",
    "MULTI",
    "WATCH {}:key",
    "DEL {}:key",
    "TYPE {}:key",
    "OBJECT ENCODING {}:key",
    "DUMP {}:key",
    "PERSIST {}:key",
    "PEXPIRE {}:key 1",
    "APPEND {}:key x",
    "INCR {}:number",
    "GETDEL {}:key",
    "SETRANGE {}:key 536870911 x",
    "SETBIT {}:bits 4294967295 1",
    "BITOP OR {}:copy {}:key",
    "COPY {}:key {}:copy",
    "SORT {}:list",
    "SORT_RO {}:list",
    "LPUSH {}:list x",
    "BLPOP {}:list 1",
    "GEOADD {}:places 1 1 x",
    "PFADD {}:log x",
    "HGETALL {}:~fence",
    "SMEMBERS {}:~tag:t",
    "SUNIONSTORE {}:copy {}:~tag:t",
    "SRANDMEMBER {}:~tag:t 2",
    "ZUNIONSTORE {}:copy 1 {}:~horizon",
    "XTRIM {}:events MAXLEN 0",
    "XDEL {}:events 1-0",
    "XGROUP CREATE {}:events g 0",
    // They are refused inside a script too.
    "EVAL return(redis.call('LPUSH',KEYS[1],'x')) 1 {}:list",
    "EVAL return(redis.call('GEOADD',KEYS[1],1,1,'x')) 1 {}:places",
    "EVAL return(redis.call('FLUSHALL')) 0",
];

/// Commands that no service may run on a key of another one. `{}` stands for its own keyspace, `[]` for the other's.
const FOREIGN: [&str; 27] = [
    "GET []:key", "GETRANGE []:key 0 1", "SET []:key 1", "UNLINK []:key", "EXISTS []:key", "PTTL []:key",
    "MGET {}:key []:key", "RENAME []:key {}:copy", "RENAME {}:key []:key", "HSET []:~fence gen 1",
    "HGET []:~fence gen", "HINCRBY []:~fence clk 1", "SADD []:~tag:t a", "SSCAN []:~tag:t 0", "SPOP []:~tag:t 10",
    "ZADD []:~horizon 1 t", "ZSCORE []:~horizon t", "XADD []:~dead-letters * a b", "DEL []:key", "TYPE []:key",
    "PEXPIRE []:key 1", "DUMP []:key", "COPY []:key {}:copy", "SUNIONSTORE {}:copy []:key", "EVAL return 1 1 []:key",
    "EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 1 []:key",
    "EVAL return(redis.call('UNLINK','[]:key')) 0", // a key that the script does not announce
];

/// Splits a command into words. Only `EVAL return 1 …` has a blank inside an argument.
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
async fn service_may_run_its_commands_on_its_own_keys() -> Result<()> {
    let guarded = Guarded::start().await?;
    for (user, keyspace) in USERS {
        each(&guarded, user, &OWN.map(|case| case.replace("{}", keyspace)), true).await?;
    }
    Ok(())
}

#[tokio::test]
async fn special_commands_are_allowed_only_to_services_that_need_them() -> Result<()> {
    let guarded = Guarded::start().await?;
    for (user, keyspace) in USERS {
        guarded.may(user, &["XADD", &format!("{keyspace}:events"), "1-0", "event", "{}"]).await?;
        for (case, users) in OWN_OF_SOME {
            each(&guarded, user, &[case.replace("{}", keyspace)], users.contains(&user)).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn operator_commands_and_unused_commands_are_denied_to_services() -> Result<()> {
    let guarded = Guarded::start().await?;
    for (user, keyspace) in USERS {
        each(&guarded, user, &NEVER.map(|case| case.replace("{}", keyspace)), false).await?;
    }
    Ok(())
}

#[tokio::test]
async fn service_cannot_reach_keys_of_another_service() -> Result<()> {
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
async fn login_requires_the_password_of_that_user() -> Result<()> {
    let guarded = Guarded::start().await?;
    assert!(guarded.reply_to_stranger(&[], &["TIME"]).await?.starts_with("-NOAUTH"));
    let cart = guarded.password_of("cart");
    for user in ["default", "product-api", "search", "recommendation", "nobody"] {
        let reply = guarded.reply_to_stranger(&[user, cart], &["TIME"]).await?;
        assert!(reply.starts_with("-WRONGPASS"), "{user} with the password of cart: {reply}");
    }
    assert_eq!(guarded.reply_to_stranger(&["cart", cart], &["TIME"]).await?, "*2");
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
