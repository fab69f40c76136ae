//! Keys, commands and logins: a service has its own keyspace, and only the commands that it needs.

use anyhow::Result;
use tokio::process::Command;

use super::deploy;
use super::guarded::{Guarded, USERS, variable};

/// Returns the commands below a heading of `commands.txt`, for a service and another one.
fn commands(heading: &str, own: &str, other: &str) -> Vec<String> {
    let (_, rest) =
        include_str!("commands.txt").split_once(&format!("# {heading}: ")).expect("the file has the heading");
    let lines = rest.lines().skip(1).take_while(|line| !line.is_empty()).filter(|line| !line.starts_with('#'));
    lines.map(|line| line.replace("{}", own).replace("[]", other)).collect()
}

#[test]
fn no_command_is_lost_from_the_lists() {
    let lengths = ["OWN", "NEVER", "FOREIGN"].map(|heading| commands(heading, "", "").len());
    assert_eq!(lengths, [44, 84, 33]);
}

/// Commands that only some services may run on their own keys.
const OWN_OF_SOME: [(&str, &[&str]); 5] = [
    ("ZCARD {}:~horizon", &["search"]),
    ("ZSCORE {}:~horizon t", &["search"]),
    ("ZMSCORE {}:~horizon t u", &["search"]),
    ("ZREMRANGEBYSCORE {}:~horizon (0 (7", &["search"]),
    ("XINFO STREAM {}:events", &["product-api", "cart"]),
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
        each(&guarded, user, &commands("OWN", keyspace, ""), true).await?;
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
        each(&guarded, user, &commands("NEVER", keyspace, ""), false).await?;
    }
    Ok(())
}

#[tokio::test]
async fn service_cannot_reach_keys_of_another_service() -> Result<()> {
    let guarded = Guarded::start().await?;
    guarded.script("return 1").await?;
    for (user, own) in USERS {
        for (_, other) in USERS.iter().filter(|(_, other)| *other != own) {
            each(&guarded, user, &commands("FOREIGN", own, other), false).await?;
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
