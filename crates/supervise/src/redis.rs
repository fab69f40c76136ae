//! Redis as a private server of the checkout, or as a cluster, on loopback. It keeps nothing on disk, so whenever it starts it
//! is empty.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use supervise::process::{pid_if, pid_in, poll};
use supervise::{Failure, Part, Result, cluster_ports, tools};

use crate::stack::{Stack, say, succeed};

/// The longest time for Redis to start; a cluster has to form.
const START: Duration = Duration::from_secs(30);

impl Stack {
    /// Starts Redis, unless it already runs on this port, with this configuration and these users.
    pub(crate) fn start_redis(&self) -> Result<()> {
        let (port, folder) = (self.ports.of(Part::Redis), self.folder(Part::Redis));
        let deploy = self.checkout.join("deploy/redis");
        let render = Command::new(deploy.join("render-acl")).envs(&self.variables).stderr(Stdio::inherit()).output()?;
        if !render.status.success() {
            return Err(Failure::new("the users of Redis could not be rendered."));
        }
        // Copies, because the owner may be unable to enter the checkout.
        let files = [
            ("redis.conf", fs::read(deploy.join("redis.conf"))?),
            ("users.acl", render.stdout),
            ("cluster", if self.is_clustered { fs::read(deploy.join("cluster"))? } else { Vec::new() }),
        ];
        if self.pid(Part::Redis).is_some() {
            let same = files.iter().all(|(name, text)| fs::read(folder.join(name)).is_ok_and(|before| before == *text));
            if same && pid_if(&folder.join("pid"), |command| has_address(command, port)).is_some() {
                return Ok(());
            }
            self.stop_redis();
        }
        self.ports.require_free(Part::Redis, &[])?;
        let kind = if self.is_clustered { "a Redis Cluster" } else { "Redis" };
        say(format!("starting {kind} on 127.0.0.1:{port}"));
        for (name, text) in &files {
            // Only for the owner: the ACL file holds the passwords.
            self.owner_script(&format!("umask 077 && cat >redis/{name}"), text)?;
        }
        let failed = |message: &str| self.failed_with_log(Part::Redis, message);
        let (mut start, question, answer) = match self.is_clustered {
            true => (self.cluster(port)?, ["cluster", "info"].as_slice(), "cluster_state:ok"),
            false => (self.single_server(port)?, ["ping"].as_slice(), "PONG"),
        };
        succeed(&mut start, "").map_err(|_| failed("Redis did not start."))?;
        let answers = || {
            let asked = self.redis_cli().and_then(|mut cli| Ok(cli.args(question).stderr(Stdio::null()).output()?));
            asked.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(answer))
        };
        if poll(START, answers) { Ok(()) } else { Err(failed(&format!("Redis did not answer within {START:?}."))) }
    }

    fn single_server(&self, port: u16) -> Result<Command> {
        let folder = self.folder(Part::Redis);
        let mut start = self.as_owner(tools::redis_server()?);
        start.arg(folder.join("redis.conf")).args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--dir"]);
        start.arg(&folder).arg("--aclfile").arg(folder.join("users.acl")).arg("--pidfile").arg(folder.join("pid"));
        start.arg("--logfile").arg(self.log(Part::Redis)).args(["--daemonize", "yes"]).stdout(Stdio::null());
        Ok(start)
    }

    /// Returns a command that starts six servers in the background: three primaries, each with a replica.
    fn cluster(&self, port: u16) -> Result<Command> {
        let folder = self.folder(Part::Redis);
        let mut start = self.as_owner(Path::new("sh"));
        start.env("REDISCLI_AUTH", self.password("REDIS_ADMIN")?);
        start.env("REDIS_SERVER", tools::redis_server()?).env("REDIS_CLI", tools::redis_client()?);
        start.args(["-c", "setsid -f sh \"$1/cluster\" \"$1\" \"$2\" </dev/null >>\"$1/log\" 2>&1", "sh"]);
        start.arg(folder).arg(format!("127.0.0.1:{port}"));
        Ok(start)
    }

    /// Returns the ports that the running Redis uses, if its first one is this one.
    pub(crate) fn own_redis_ports(&self, first: u16) -> Vec<u16> {
        let file = self.folder(Part::Redis).join("pid");
        if pid_if(&file, |command| has_address(command, first)).is_none() {
            return Vec::new();
        }
        // The pid of a cluster is that of the script that runs its servers.
        if pid_in(&file, "/cluster ").is_some() { cluster_ports(first) } else { vec![first] }
    }

    pub(crate) fn stop_redis(&self) {
        if let Some(pid) = self.pid(Part::Redis) {
            say("stopping Redis");
            self.end(pid);
        }
    }

    /// Returns a `redis-cli` command, as the admin.
    pub(crate) fn redis_cli(&self) -> Result<Command> {
        let mut client = Command::new(tools::redis_client()?);
        client.env("REDISCLI_AUTH", self.password("REDIS_ADMIN")?);
        client.args(["-h", "127.0.0.1", "-p", &self.ports.of(Part::Redis).to_string()]);
        Ok(client)
    }
}

/// Returns whether a command line has the address of Redis with exactly this port: 6380 is also the start of 63800.
fn has_address(command: &str, port: u16) -> bool {
    let address = format!("127.0.0.1:{port}");
    command.split_whitespace().any(|word| word == address)
}

#[cfg(test)]
mod tests {
    use super::has_address;

    #[test]
    fn address_of_redis_is_compared_with_its_whole_port() {
        for command in ["/usr/bin/redis-server 127.0.0.1:63800 ", "sh /x/cluster /x 127.0.0.1:63800 "] {
            assert!(has_address(command, 63800), "{command}");
            assert!(!has_address(command, 6380), "{command}");
            assert!(!has_address(command, 3800), "{command}");
        }
        assert!(has_address("valkey-server 127.0.0.1:6380 [cluster]", 6380));
    }
}
