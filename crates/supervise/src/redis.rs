//! Redis as a private server of the checkout, on loopback. It keeps nothing on disk, so whenever it starts it is empty.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use supervise::process::{pid_in, poll};
use supervise::{Failure, Part, Result, tools};

use crate::stack::{Stack, say, succeed};

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
        let files = [("redis.conf", fs::read(deploy.join("redis.conf"))?), ("users.acl", render.stdout)];
        if self.pid(Part::Redis).is_some() {
            let same = files.iter().all(|(name, text)| fs::read(folder.join(name)).is_ok_and(|before| before == *text));
            if same && pid_in(&folder.join("pid"), &format!(":{port}")).is_some() {
                return Ok(());
            }
            self.stop_redis();
        }
        self.ports.require_free(Part::Redis)?;
        say(format!("starting Redis on 127.0.0.1:{port}"));
        for (name, text) in &files {
            // Only for the owner: the ACL file holds the passwords.
            self.owner_script(&format!("umask 077 && cat >redis/{name}"), text)?;
        }
        let mut start = self.as_owner(tools::redis_server()?);
        start.arg(folder.join("redis.conf")).args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--dir"]);
        start.arg(&folder).arg("--aclfile").arg(folder.join("users.acl")).arg("--pidfile").arg(folder.join("pid"));
        start.arg("--logfile").arg(self.log(Part::Redis)).args(["--daemonize", "yes"]).stdout(Stdio::null());
        let failed = |message: &str| self.failed_with_log(Part::Redis, message);
        succeed(&mut start, "").map_err(|_| failed("Redis did not start."))?;
        let answers = || {
            let pong = self.redis_cli().and_then(|mut client| Ok(client.arg("ping").stderr(Stdio::null()).output()?));
            pong.is_ok_and(|output| output.stdout == b"PONG\n")
        };
        if poll(Duration::from_secs(10), answers) { Ok(()) } else { Err(failed("Redis did not answer within 10 s.")) }
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
