//! The services and the console, built by cargo and run from the target folder.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use supervise::process::{is_running, poll};
use supervise::{Addresses, Failure, Part, Replica, Result, Service, is_setting};

use crate::stack::{Stack, say, succeed};

impl Stack {
    pub(crate) fn build(&self) -> Result<()> {
        let profile = self.variable("PROFILE").unwrap_or_default();
        say(format!("building with cargo (PROFILE={profile}; the first time takes some minutes)"));
        let mut build = Command::new(self.checkout.join("deploy/native/build"));
        succeed(build.arg("demo").env("PROFILE", profile), "the build failed; cargo's message is above.")
    }

    /// Returns where cargo has put the program of a part.
    fn program(&self, part: Part) -> Result<PathBuf> {
        let name = part.program().unwrap_or(part.name());
        let programs = fs::read_to_string(self.checkout.join(".stack-programs")).unwrap_or_default();
        let found = programs.lines().map(Path::new).find(|program| program.ends_with(name));
        let absent = |what: String| Failure::new(what).hint("make up builds it.");
        let program = found.ok_or_else(|| absent(format!("{name} has not been built yet.")))?;
        if program.is_file() {
            return Ok(program.to_owned());
        }
        Err(absent(format!("{} is gone.", program.display())))
    }

    /// Returns the settings of a start as `NAME=value`; of two with one name the later counts, so that a start can
    /// override everything. The stack itself sets where a service listens and what it connects to.
    fn settings_of(&self, part: Part, given: &[String]) -> Result<Vec<String>> {
        let of_stack =
            |name: &str| name.ends_with("__URL") || ["HTTP__HOST", "HTTP__PORT", "INDEX__PATH"].contains(&name);
        let has = |name: &str| is_setting(name) && !of_stack(name) && part.has_section(&self.checkout, name);
        // Everything listens on loopback, so a visitor of the console may disturb it; the caller may forbid it.
        let mut settings = vec!["FAULTS__ENABLED=true".to_owned()];
        settings.retain(|setting| has(setting.split('=').next().unwrap_or_default()));
        let callers = self.variables.iter().filter(|(name, _)| has(name));
        settings.extend(callers.map(|(name, value)| format!("{name}={value}")));
        if let Some(faults) = self.variable("FAULTS_ENABLED").filter(|_| has("FAULTS__ENABLED")) {
            settings.push(format!("FAULTS__ENABLED={faults}"));
        }
        settings.push("HTTP__HOST=127.0.0.1".to_owned());
        settings.push(format!("HTTP__PORT={}", self.ports.of(part)));
        match part {
            Part::Service(replica) => settings.extend(self.connections_of(replica)?),
            _ => settings.extend(self.console_connections()?),
        }
        settings.extend_from_slice(given);
        Ok(settings)
    }

    /// Returns what the console connects to: every process, and the stores themselves, without a proxy in between.
    fn console_connections(&self) -> Result<Vec<String>> {
        let replicas = self.replicas().map(|replica| {
            let variable = replica.name().replace('-', "_").to_ascii_uppercase();
            format!("{variable}__URL={}", self.url(replica))
        });
        let mut settings: Vec<String> = replicas.collect();
        let (postgres, redis) = (self.ports.of(Part::Postgres), self.ports.of(Part::Redis));
        settings.push(format!(
            "POSTGRES__URL=postgres://shop_user:{}@127.0.0.1:{postgres}/shop_db",
            self.password("SHOP_DB")?
        ));
        // The console does not know clusters.
        if !self.is_clustered {
            let password = self.password("REDIS_ADMIN")?;
            settings.push(format!("REDIS_ADMIN__URL=redis://default:{password}@127.0.0.1:{redis}"));
        }
        Ok(settings)
    }

    fn connections_of(&self, replica: Replica) -> Result<Vec<String>> {
        let service = replica.service;
        // The addresses of proxies in front of the stores, if there are any.
        let at = |variable: &str, store| {
            let direct = || format!("127.0.0.1:{}", self.ports.of(store));
            self.variable(variable).map_or_else(direct, str::to_owned)
        };
        let (postgres, redis) = (at("POSTGRES_AT", Part::Postgres), at("REDIS_AT", Part::Redis));
        let second_node = self.ports.of(Part::Redis) + 1;
        let redis_password = self.password(&format!("REDIS_{}", service.name()))?;
        let database_password = service.database().map_or(Ok(""), |name| self.password(&format!("{name}_DB")))?;
        let connections = service.connections(Addresses {
            // Each process uses the other services' processes with its own number, if these run.
            service: &|service| self.url(Replica { service, is_second: replica.is_second && self.is_doubled }),
            database: &|name| format!("postgres://{name}_user:{database_password}@{postgres}/{name}_db"),
            redis: &|user| match self.is_clustered {
                true => format!("redis-cluster://{user}:{redis_password}@{redis}?nodes=127.0.0.1:{second_node}"),
                false => format!("redis://{user}:{redis_password}@{redis}"),
            },
            index: &self.folder(Part::Service(replica)).join("index"),
        });
        let mut settings: Vec<String> = connections.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if service == Service::ProductApi {
            settings.push(format!("SEED_PRODUCTS={}", self.variable("SEED_PRODUCTS").unwrap_or("2000")));
        }
        Ok(settings)
    }

    /// Starts a program, unless it already runs this binary with these settings. Does not wait until it is ready.
    pub(crate) fn start_program(&self, part: impl Into<Part>, given: &[String]) -> Result<()> {
        let part = part.into();
        let name = part.name();
        let (folder, program) = (self.folder(part), self.program(part)?);
        let settings = self.settings_of(part, given)?;
        let record = format!("{}\n{}\n", program.display(), settings.join("\n"));
        if self.pid(part).is_some() {
            let changed = |file: &Path| fs::metadata(file).and_then(|file| file.modified()).ok();
            let newer = changed(&program) > changed(&folder.join("pid"));
            if !newer && fs::read_to_string(folder.join("settings")).is_ok_and(|before| before == record) {
                return Ok(());
            }
            say(format!("{name} has changed since it was started"));
            self.stop_program(part);
        }
        self.ports.require_free(part, &[])?;
        say(format!("starting {name} on 127.0.0.1:{}", self.ports.of(part)));
        if self.log(part).exists() {
            fs::rename(self.log(part), folder.join("log.before"))?;
        }
        write_private(&folder.join("settings"))?.write_all(record.as_bytes())?;
        let log = write_private(&self.log(part))?;
        let mut command = Command::new("sh");
        // The process keeps its id. It has a session of its own: Ctrl-C must not reach it.
        command.args(["-c", "umask 077 && exec setsid \"$0\""]).arg(&program);
        command.stdin(Stdio::null()).stderr(log.try_clone()?).stdout(log);
        only_these_settings(&mut command, &self.variables, &settings);
        let child = command.spawn()?;
        Ok(writeln!(write_private(&folder.join("pid"))?, "{}", child.id())?)
    }

    pub(crate) fn stop_program(&self, part: impl Into<Part>) {
        let part = part.into();
        if let Some(pid) = self.pid(part) {
            say(format!("stopping {}", part.name()));
            self.end(pid);
        }
    }

    /// Stops these processes at the same time.
    pub(crate) fn stop_services(&self, replicas: impl Iterator<Item = Replica>) {
        thread::scope(|threads| {
            for replica in replicas {
                threads.spawn(move || self.stop_program(replica));
            }
        });
    }

    pub(crate) fn wait_for_program(&self, part: impl Into<Part>) -> Result<()> {
        let part = part.into();
        let (name, began) = (part.name(), Instant::now());
        let pid = fs::read_to_string(self.folder(part).join("pid"))?.trim().parse().unwrap_or(0);
        let (mut ready, mut said) = (false, 0);
        poll(Duration::from_secs(60), || {
            ready = self.is_ready(part);
            let seconds = began.elapsed().as_secs();
            if seconds >= said + 2 {
                said = seconds;
                say(format!("waiting for {}/readyz ({seconds} s)", self.url(part)));
            }
            ready || !is_running(pid)
        });
        if ready {
            return Ok(());
        }
        let message = if is_running(pid) {
            format!("{name} was not ready within 60 s.")
        } else {
            format!("{name} ended while starting; its last words are above.")
        };
        Err(self.failed_with_log(part, message).hint(format!("More: make logs s={name}")))
    }

    fn is_ready(&self, part: Part) -> bool {
        let status = || -> std::io::Result<[u8; 12]> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.ports.of(part)))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
            let mut head = [0; 12]; // "HTTP/1.1 200"
            stream.read_exact(&mut head).map(|()| head)
        };
        status().is_ok_and(|head| head.ends_with(b" 200"))
    }

    /// Refuses settings of a start that the service would not read.
    pub(crate) fn check_settings(&self, part: Part, given: &[String]) -> Result<()> {
        let name = part.program().unwrap_or(part.name());
        for setting in given {
            let Some((variable, _)) = setting.split_once('=').filter(|(variable, _)| is_setting(variable)) else {
                return Err(Failure::new(format!("'{setting}' is not a setting: SECTION__NAME=value")));
            };
            if !part.has_section(&self.checkout, variable) {
                return Err(Failure::new(format!("{name} has no section for {variable}."))
                    .hint(format!("services/{name}/src/settings.toml has them all.")));
            }
        }
        Ok(())
    }

    /// Warns of variables that no service reads, which are most likely typing errors.
    pub(crate) fn warn_of_strays(&self) {
        for variable in self.variables.keys().filter(|variable| is_setting(variable)) {
            if !Part::all().any(|part| part.has_section(&self.checkout, variable)) {
                say(format!("{variable} is not used: no service has such a section"));
            }
        }
    }
}

/// The service gets neither the settings nor the passwords of another service.
fn only_these_settings(command: &mut Command, all: &BTreeMap<String, String>, settings: &[String]) {
    for (name, value) in all {
        if is_setting(name) || name.ends_with("_PASSWORD") {
            command.env_remove(name);
        } else {
            command.env(name, value);
        }
    }
    command.envs(settings.iter().filter_map(|line| line.split_once('=')));
}

/// Opens an empty file that only its owner can read.
fn write_private(file: &Path) -> Result<File> {
    let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file);
    opened.map_err(|error| Failure::new(format!("{}: {error}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_gets_no_password_and_no_setting_of_another() {
        let all = ["CART_DB_PASSWORD", "REDIS_ADMIN_PASSWORD", "EVENTS__TRANSPORT", "HTTP__WORKERS", "RUST_BACKTRACE"];
        let all = all.map(|name| (name.to_owned(), "1".to_owned())).into();
        let mut command = Command::new("true");
        only_these_settings(&mut command, &all, &["HTTP__WORKERS=2".to_owned(), "LOG__FILTER=a=b".to_owned()]);
        let environment: BTreeMap<_, _> = command
            .get_envs()
            .map(|(name, value)| (name.to_str().unwrap(), value.and_then(|it| it.to_str())))
            .collect();
        assert_eq!(environment["HTTP__WORKERS"], Some("2"));
        assert_eq!(environment["LOG__FILTER"], Some("a=b"));
        assert_eq!(environment["RUST_BACKTRACE"], Some("1"));
        for name in ["CART_DB_PASSWORD", "REDIS_ADMIN_PASSWORD", "EVENTS__TRANSPORT"] {
            assert_eq!(environment[name], None, "{name} is removed");
        }
    }
}
