//! A private Redis with the project's users, and a client that tries commands as one of them.

use std::collections::HashMap;
use std::io::Write;

use anyhow::{Context, Result, ensure};
use testkit::Redis;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

use super::{deploy, password};

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
    /// Starts the server with an empty ACL file, because testkit's readiness check has no password, and then loads the
    /// real file.
    pub(crate) async fn start() -> Result<Self> {
        let mut users = tempfile::NamedTempFile::new()?;
        // The stack disables DEBUG. It is enabled here, so that only the ACL rules can refuse it.
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

    pub(crate) async fn may(&self, user: &str, command: &[&str]) -> Result<String> {
        let reply = self.reply(user, command).await?;
        ensure!(!reply.starts_with('-'), "{user} must be able to: {command:?}: {reply}");
        Ok(reply)
    }

    /// Asserts that Redis refuses this command of the user because of its ACL rules.
    pub(crate) async fn may_not(&self, user: &str, command: &[&str]) -> Result<()> {
        let reply = self.reply(user, command).await?;
        // Inside a script, the message of a refusal differs, also between versions of Redis.
        let refused = reply.starts_with("-NOPERM")
            || reply.contains("The user executing the script can't")
            || reply.contains("ACL failure in script");
        ensure!(refused, "{user} must not be able to: {command:?}: {reply}");
        Ok(())
    }

    /// Loads a script as the admin user. A service runs it by its hash.
    pub(crate) async fn script(&self, lua: &str) -> Result<String> {
        let mut connection = self.connect("default").await?;
        send(&mut connection, &["SCRIPT", "LOAD", lua]).await?;
        line(&mut connection).await?; // its length
        line(&mut connection).await
    }

    /// Returns the first line of the reply in the Redis protocol: `+OK`, `$5`, `*2`, `:1`, `-ERR …`.
    pub(crate) async fn reply(&self, user: &str, command: &[&str]) -> Result<String> {
        let mut connection = self.connect(user).await?;
        send(&mut connection, command).await?;
        line(&mut connection).await
    }

    /// Returns the first line of the reply to a client with this user name and password, or of the reply to the login
    /// if that fails.
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

/// Returns the output of `deploy/redis/render-acl` for these passwords.
async fn render(passwords: &HashMap<&'static str, String>) -> Result<Vec<u8>> {
    let mut script = Command::new(deploy("redis/render-acl"));
    for (user, password) in passwords {
        script.env(variable(user), password);
    }
    let output = script.output().await?;
    ensure!(output.status.success(), "render-acl: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

/// Returns the name of the variable from which `render-acl` reads a user's password.
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
