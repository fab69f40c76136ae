//! Postgres as a private server of the checkout, on loopback.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use supervise::process::{is_running, poll};
use supervise::{Part, Result, tools};

use crate::stack::{Stack, say, succeed};

/// Creates a cluster in a folder that is renamed when it is complete. The superuser has no password, and can connect only
/// through the socket, as the user who owns the data. Arguments: initdb, the user.
const CREATE: &str = "rm -rf postgres/data.new && \"$1\" -D postgres/data.new -U \"$2\" --no-locale -E UTF8 \
     --auth-local=peer --auth-host=scram-sha-256 >postgres/log 2>&1 && mv postgres/data.new postgres/data";

impl Stack {
    /// Starts Postgres, unless it already runs on this port.
    pub(crate) fn start_postgres(&self) -> Result<()> {
        let (port, folder) = (self.ports.of(Part::Postgres), self.folder(Part::Postgres));
        let data = folder.join("data");
        let file = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
        if self.pid(Part::Postgres).is_some() {
            if file.lines().nth(3) == Some(&port.to_string()) {
                return Ok(());
            }
            self.stop_postgres()?;
        }
        self.ports.require_free(Part::Postgres, &[])?;
        // Postgres does not start while its former process is a zombie, whose parent may be about to wait for it.
        let is_zombie = |pid: u32| !is_running(pid) && Path::new(&format!("/proc/{pid}")).exists();
        let before = file.lines().next().and_then(|pid| pid.parse().ok());
        poll(Duration::from_secs(5), || !before.is_some_and(is_zombie));
        let failed = |message: &str| self.failed_with_log(Part::Postgres, message);
        if !data.exists() {
            say(format!("creating the Postgres cluster in {}", data.display()));
            let mut create = self.as_owner("sh".as_ref());
            create.args(["-c", CREATE, "sh"]).arg(tools::postgres_folder()?.join("initdb")).arg(self.superuser()?);
            succeed(&mut create, "").map_err(|_| failed("initdb failed."))?;
        }
        say(format!("starting Postgres on 127.0.0.1:{port}"));
        let sockets = self.socket_folder()?;
        let options =
            format!("-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='{}'", sockets.display());
        let mut start = self.pg_ctl(&["start", "-w", "-t", "60", "-l"])?;
        start.arg(self.log(Part::Postgres)).args(["-o", &options]);
        succeed(&mut start, "").map_err(|_| {
            failed("Postgres did not start.")
                .hint("Data from another major version? make reset deletes it, then: make up")
        })
    }

    /// Creates every role and database, with the passwords of the current `.env`.
    pub(crate) fn create_databases(&self) -> Result<()> {
        let mut path = tools::postgres_folder()?.as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut create = self.as_owner("sh".as_ref());
        create.arg("-s").stdin(File::open(self.checkout.join("deploy/postgres/databases"))?);
        create.env("PATH", path).env("PGHOST", self.socket_folder()?).env("PGUSER", self.superuser()?);
        create.env("PGPORT", self.ports.of(Part::Postgres).to_string());
        let failed = |_| self.failed_with_log(Part::Postgres, "the databases could not be created.");
        succeed(&mut create, "").map_err(failed)
    }

    pub(crate) fn stop_postgres(&self) -> Result<()> {
        if self.pid(Part::Postgres).is_none() {
            return Ok(());
        }
        say("stopping Postgres");
        succeed(&mut self.pg_ctl(&["stop", "-w", "-t", "20", "-m", "fast"])?, "")
            .or_else(|_| succeed(&mut self.pg_ctl(&["stop", "-w", "-m", "immediate"])?, "Postgres did not stop."))
    }

    /// Returns a `psql` command, as the role of a service.
    pub(crate) fn psql_command(&self, name: &str) -> Result<Command> {
        let mut psql = Command::new(tools::postgres_folder()?.join("psql"));
        psql.env("PGPASSWORD", self.password(&format!("{name}_DB"))?);
        psql.args(["-h", "127.0.0.1", "-p", &self.ports.of(Part::Postgres).to_string()]);
        psql.args(["-U", &format!("{name}_user"), "-d", &format!("{name}_db")]);
        Ok(psql)
    }

    fn pg_ctl(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = self.as_owner(&tools::postgres_folder()?.join("pg_ctl"));
        command.arg("-D").arg(self.folder(Part::Postgres).join("data")).args(arguments).stdout(Stdio::null());
        Ok(command)
    }

    /// Returns the name of the user who owns the data.
    fn superuser(&self) -> Result<String> {
        let Some(user) = self.owner.other() else {
            let id = Command::new("id").arg("-un").output()?;
            return Ok(String::from_utf8_lossy(&id.stdout).trim().to_owned());
        };
        Ok(user.to_owned())
    }
}
