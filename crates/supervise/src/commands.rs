//! The commands of the stack.

use std::fs;
use std::io::IsTerminal;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use supervise::process::{is_running, poll, signal};
use supervise::{Failure, Part, Replica, Result, Service};

use crate::stack::{Stack, print, say, succeed};

impl Stack {
    pub(crate) fn up(&self) -> Result<()> {
        let mut phases = vec![("tools", Instant::now())];
        let mut tools = Command::new(self.checkout.join("deploy/native/tools"));
        // `deploy/native/tools` has printed what is missing.
        let installed = tools.args(["cargo", "compiler", "postgres", "redis"]).status()?;
        if !installed.success() {
            std::process::exit(installed.code().unwrap_or(1));
        }
        self.make_state()?;
        self.check_free_ports()?;
        let ports: String =
            self.ports.iter().map(|(part, port)| format!("{}={port}\n", part.port_variable())).collect();
        fs::write(self.state.join("ports"), ports)?;
        phases.push(("build", Instant::now()));
        self.build()?;
        phases.push(("stores", Instant::now()));
        self.start_postgres()?;
        self.create_databases()?;
        self.start_redis()?;
        // All services start concurrently: none needs another to start.
        phases.push(("services", Instant::now()));
        self.warn_of_strays();
        if !self.is_doubled {
            self.stop_services(Replica::all().filter(|replica| replica.is_second));
        }
        let programs = || self.replicas().map(Part::Service).chain([Part::Console]);
        programs().try_for_each(|part| self.start_program(part, &[]))?;
        programs().try_for_each(|part| self.wait_for_program(part))?;
        say("ready");
        self.print_urls();
        phases.push(("", Instant::now()));
        let took = phases.windows(2).map(|two| format!("{} {:.1} s", two[0].0, (two[1].1 - two[0].1).as_secs_f64()));
        say(format!("took: {}", took.collect::<Vec<_>>().join(", ")));
        Ok(())
    }

    pub(crate) fn down(&self) -> Result<()> {
        if self.state.is_dir() {
            // The console first: it undoes its faults.
            self.stop_program(Part::Console);
            self.stop_services(Replica::all());
            self.stop_redis();
            self.stop_postgres()?;
            let _ = fs::remove_file(self.state.join("ports"));
        }
        Ok(())
    }

    pub(crate) fn reset(&self) -> Result<()> {
        self.down()?;
        say(format!("deleting {}", self.state.display()));
        let folders = [self.state.clone(), self.socket_folder()?];
        succeed(Command::new("rm").arg("-rf").args(folders), "the data could not be deleted.")
    }

    /// Checks before anything is stopped or recorded that each port is free, or used by the running part itself.
    fn check_free_ports(&self) -> Result<()> {
        let before = fs::read_to_string(self.state.join("ports")).unwrap_or_default();
        for (part, port) in self.ports.iter().filter(|(part, _)| self.is_doubled || !part.is_second()) {
            let own = format!("{}={port}", part.port_variable());
            let own = match part {
                _ if !before.lines().any(|line| line == own) => Vec::new(),
                // A single Redis becomes a cluster: the further ports of that must be free.
                Part::Redis => self.own_redis_ports(port),
                _ => self.pid(part).map(|_| port).into_iter().collect(),
            };
            self.ports.require_free(part, &own)?;
        }
        Ok(())
    }

    pub(crate) fn ps(&self) -> Result<()> {
        print("SERVICE         PORT   PID      LOG");
        for (part, port) in self.ports.iter() {
            let pid = self.pid(part);
            if part.is_second() && !self.is_doubled && pid.is_none() {
                continue;
            }
            let pid = pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
            print(format!("{:<15} {port:<6} {pid:<8} {}", part.name(), self.log(part).display()));
        }
        Ok(())
    }

    /// Follows the logs on a terminal; otherwise prints them and exits.
    pub(crate) fn logs(&self, name: Option<&str>) -> Result<()> {
        let parts = if name.is_some() { vec![Part::named(name)?] } else { Part::all().collect() };
        let files: Vec<_> = parts.into_iter().map(|part| self.log(part)).filter(|file| file.exists()).collect();
        if files.is_empty() {
            return Err(Failure::new(format!("there are no logs of {} yet.", name.unwrap_or("the stack"))));
        }
        let follow = std::io::stdout().is_terminal().then_some("-F");
        replace(Command::new("tail").args(["-n", "100"]).args(follow).args(files))
    }

    pub(crate) fn print_url(&self, name: Option<&str>) -> Result<()> {
        print(format!("http://127.0.0.1:{}", self.ports.of(Part::named(name)?)));
        Ok(())
    }

    pub(crate) fn psql(&self, arguments: &[String]) -> Result<()> {
        match arguments {
            [name, rest @ ..] if ["cart", "recommendation"].contains(&name.as_str()) => {
                replace(self.psql_command(name)?.args(rest))
            }
            all => replace(self.psql_command("shop")?.args(all)),
        }
    }

    pub(crate) fn redis_cli_shell(&self, arguments: &[String]) -> Result<()> {
        replace(self.redis_cli()?.args(arguments))
    }

    pub(crate) fn start(&self, name: Option<&str>, settings: &[String]) -> Result<()> {
        let part = Part::named(name)?;
        self.make_state()?;
        match part {
            Part::Postgres => self.start_postgres(),
            Part::Redis => self.start_redis(),
            Part::Service(_) | Part::Console => {
                self.check_settings(part, settings)?;
                self.start_program(part, settings)?;
                self.wait_for_program(part)
            }
        }
    }

    pub(crate) fn stop(&self, name: Option<&str>) -> Result<()> {
        match Part::named(name)? {
            Part::Postgres => self.stop_postgres()?,
            Part::Redis => self.stop_redis(),
            part @ (Part::Service(_) | Part::Console) => self.stop_program(part),
        }
        Ok(())
    }

    /// Signals a part and its child processes: Postgres does not start while one of its processes is left.
    pub(crate) fn signal(&self, name: Option<&str>, which: Option<&str>) -> Result<()> {
        let part = Part::named(name)?;
        let pid = self.pid(part).ok_or_else(|| Failure::new(format!("{} does not run.", part.name())))?;
        let number = match which {
            Some("KILL") => Signal::KILL,
            Some("STOP") => Signal::STOP,
            Some("CONT") => Signal::CONT,
            _ => return Err(Failure::new("a signal: KILL, STOP or CONT")),
        };
        let mut all = vec![pid];
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        all.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        if all.iter().filter(|pid| signal(**pid, number)).count() == 0 {
            return Err(Failure::new(format!("{} cannot be signalled.", part.name())));
        }
        if number == Signal::KILL {
            poll(Duration::from_secs(60), || all.iter().all(|pid| !is_running(*pid)));
        }
        Ok(())
    }

    /// Stops Redis and deletes its snapshot. Redis itself saves nothing, but its next start would load a snapshot of
    /// SAVE.
    pub(crate) fn forget(&self, name: Option<&str>) -> Result<()> {
        if name != Some("redis") {
            return Err(Failure::new("only redis has a snapshot that can be deleted."));
        }
        self.stop_redis();
        let _ = fs::remove_file(self.folder(Part::Redis).join("dump.rdb"));
        Ok(())
    }

    pub(crate) fn address(&self, name: Option<&str>) -> Result<()> {
        match name {
            None => print("127.0.0.1"),
            name => print(format!("127.0.0.1:{}", self.ports.of(Part::named(name)?))),
        }
        Ok(())
    }

    /// Suggests the next commands.
    fn print_urls(&self) {
        print(format!("\n  {:<18}{}", Part::Console.name(), self.url(Part::Console)));
        for replica in self.replicas() {
            print(format!("  {:<18}{}/docs", replica.name(), self.url(replica)));
        }
        let (api, search) = (self.url(Service::ProductApi), self.url(Service::Search));
        let (postgres, redis) = (self.ports.of(Part::Postgres), self.ports.of(Part::Redis));
        print(format!(
            "  a product         {api}/products/ttl/1
  a search          {search}/search?q=lamp
  operations        curl -H @.secrets/operations-header {api}/metrics   (/metrics, /events, /cache/…)
  Postgres          make psql        (127.0.0.1:{postgres}, shop_user, shop_db)
  Redis             make redis-cli   (127.0.0.1:{redis})
  next              make demo · make ps · make logs · make down
"
        ));
    }
}

/// Replaces this process by another program. Returns only if that fails.
fn replace(command: &mut Command) -> Result<()> {
    let error = command.exec();
    Err(Failure::new(format!("{}: {error}", command.get_program().display())))
}
