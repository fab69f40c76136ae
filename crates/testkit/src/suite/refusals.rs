//! Settings with which a service does not start.

use std::process::Command;

use tokio::time::timeout;

use super::Subject;
use crate::ChildProcess;
use crate::eventually::SOON;

/// A setting that is invalid, unknown or contradicts another one is refused by its name, before any store is used.
pub async fn invalid_settings_are_refused_by_name<S: Subject>() {
    let subject = S::prepare_stores().await;
    for &(name, value, also) in S::INVALID_SETTINGS {
        let message = assert_refused(&subject.command(&[(name, value)]), S::NAME).await;
        let section = name.rsplit_once("__").map_or(name, |(section, _)| section);
        let is_named = message.contains(name) || message.contains(&format!("{section} is not a setting"));
        assert!(is_named && message.contains(also), "{name}={value}: {message}");
    }
    if let Some(database) = subject.database() {
        let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
        assert_eq!(database.sql(tables).await, "0", "the database was used");
    }
}

/// Starts a service that must end by itself, with exit code 1 and one line that says why. Returns that line.
///
/// # Panics
/// Panics if the service runs, panics, or shows the password `hunter2`.
pub async fn assert_refused(command: &Command, name: &str) -> String {
    let process = ChildProcess::start(command).expect("the binary has been built");
    let exit = timeout(SOON, process.exit()).await;
    let output = process.output();
    let exit = exit.unwrap_or_else(|_| panic!("it runs: {output}")).expect("it ends by itself");
    assert_eq!(exit.code, 1, "{output}");
    let last = output.lines().last().unwrap_or_default();
    assert!(last.starts_with(&format!("{name}: ")) && !output.contains("panicked"), "{output}");
    assert!(!output.contains("hunter2"), "{output}");
    last.to_owned()
}
