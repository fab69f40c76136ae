//! A private Redis with the project's users, and somebody who tries commands as one of them.

use std::collections::HashMap;
use std::io::Write;

use anyhow::{Context, Result, ensure};
use testkit::Redis;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::{deploy, password};

/// The services' users, each with its keyspace.
pub(crate) const USERS: [(&str, &str); 4] =
    [("product-api", "product"), ("cart", "cart"), ("search", "search"), ("recommendation", "recommendation")];

/// The server, with `{keyspace}:key` set to `untouched` in each keyspace.
pub(crate) struct Guarded {
    redis: Redis,
    passwords: HashMap<&'static str, String>,
    _users: tempfile::NamedTempFile,
}

impl Guarded {
    /// Starts it with an empty file of users, because nobody but testkit waits for it, and then loads the real one.
    pub(crate) async fn start() -> Result<Self> {
        let mut users = tempfile::NamedTempFile::new()?;
        // DEBUG is switched off in the stack; here it is on, so that it is the rules that refuse it.
        let settings = [("aclfile", &*users.path().to_string_lossy()), ("enable-debug-command", "yes")];
        let redis = Redis::start_with(&settings).await?;
        let passwords: HashMap<_, _> =
            USERS.iter().map(|(user, _)| *user).chain(["default"]).map(|user| (user, password())).collect();
        users.write_all(&render(&passwords).await?)?;
        ensure!(redis.cli(&["ACL", "LOAD"]).await? == "OK", "the file of users is refused");
        let guarded = Self { redis, passwords, _users: users };
        for (_, keyspace) in USERS {
            guarded.may("default", &["SET", &format!("{keyspace}:key"), "untouched"]).await?;
        }
        Ok(guarded)
    }

    /// The user does this, and Redis does not refuse.
    pub(crate) async fn may(&self, user: &str, command: &[&str]) -> Result<String> {
        let reply = self.reply(user, command).await?;
        ensure!(!reply.starts_with('-'), "{user} must be able to: {command:?}: {reply}");
        Ok(reply)
    }

    /// The user tries this, and Redis refuses because of its rules.
    pub(crate) async fn may_not(&self, user: &str, command: &[&str]) -> Result<()> {
        let reply = self.reply(user, command).await?;
        // Inside a script a refusal is worded otherwise, and not by every version in the same way.
        let refused = reply.starts_with("-NOPERM")
            || reply.contains("The user executing the script can't")
            || reply.contains("ACL failure in script");
        ensure!(refused, "{user} must not be able to: {command:?}: {reply}");
        Ok(())
    }

    /// Loads a script as the admin; a service runs it by its hash.
    pub(crate) async fn script(&self, lua: &str) -> Result<String> {
        let mut connection = self.connect("default").await?;
        send(&mut connection, &["SCRIPT", "LOAD", lua]).await?;
        line(&mut connection).await?; // its length
        line(&mut connection).await
    }

    /// The first line of the reply, in Redis' own words: `+OK`, `$5`, `*2`, `:1`, `-ERR …`.
    pub(crate) async fn reply(&self, user: &str, command: &[&str]) -> Result<String> {
        let mut connection = self.connect(user).await?;
        send(&mut connection, command).await?;
        line(&mut connection).await
    }

    /// The first line of the reply to somebody who has given this name and password, or to the login if that fails.
    pub(crate) async fn reply_to_stranger(&self, login: &[&str], command: &[&str]) -> Result<String> {
        let mut connection = self.open().await?;
        if !login.is_empty() {
            send(&mut connection, &[&["AUTH"], login].concat()).await?;
            let reply = line(&mut connection).await?;
            if reply != "+OK" {
                return Ok(reply);
            }
        }
        send(&mut connection, command).await?;
        line(&mut connection).await
    }

    /// The password of this user.
    pub(crate) fn password_of(&self, user: &str) -> &str {
        &self.passwords[user]
    }

    async fn connect(&self, user: &str) -> Result<BufReader<TcpStream>> {
        let mut connection = self.open().await?;
        send(&mut connection, &["AUTH", user, self.password_of(user)]).await?;
        let reply = line(&mut connection).await?;
        ensure!(reply == "+OK", "{user} cannot log in: {reply}");
        Ok(connection)
    }

    async fn open(&self) -> Result<BufReader<TcpStream>> {
        Ok(BufReader::new(TcpStream::connect(("127.0.0.1", self.redis.port())).await?))
    }
}

/// What `deploy/redis/render-acl` prints for these passwords.
async fn render(passwords: &HashMap<&'static str, String>) -> Result<Vec<u8>> {
    let mut script = Command::new(deploy("redis/render-acl"));
    for (user, password) in passwords {
        script.env(variable(user), password);
    }
    let output = script.output().await?;
    ensure!(output.status.success(), "render-acl: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

/// The variable that `render-acl` takes a user's password from.
pub(crate) fn variable(user: &str) -> String {
    let name = if user == "default" { "admin" } else { user };
    format!("REDIS_{}_PASSWORD", name.to_uppercase().replace('-', "_"))
}

async fn send(connection: &mut BufReader<TcpStream>, command: &[&str]) -> Result<()> {
    let mut bytes = format!("*{}\r\n", command.len());
    for word in command {
        bytes.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    Ok(connection.write_all(bytes.as_bytes()).await?)
}

async fn line(connection: &mut BufReader<TcpStream>) -> Result<String> {
    let mut line = String::new();
    connection.read_line(&mut line).await.context("Redis hung up")?;
    Ok(line.trim_end().to_owned())
}
