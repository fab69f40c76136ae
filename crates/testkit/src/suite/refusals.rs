//! Settings with which a service does not start.

use std::process::Command;

use tokio::time::timeout;

use super::Subject;
use crate::ChildProcess;
use crate::eventually::SOON;

/// Invalid settings of the sections that several services have.
const COMMON: [(&str, &str, &str); 37] = [
    ("REDIS__TIMEUOT", "5ms", ""),
    ("REDIS__MAX_LOADS", "0", ""),
    ("REDIS__MAX_LOADS", "many", ""),
    ("REDIS__NEAR_WEIGHT", "0", ""),
    ("REDIS__URL", "nonsense", ""),
    ("REDIS__URL", "http://user:hunter2@127.0.0.1", ""),
    ("REDIS__URL", "redis://user:hunter2@127.0.0.1:notaport", ""),
    ("REDSI__URL", "redis://127.0.0.1", "REDIS__URL"),
    ("POSTGRES__MAX_CONNECTIONS", "0", ""),
    ("POSTGRES__MAX_CONNECTIONS", "1000000", ""),
    ("POSTGRES__WAIT_TIMEOUT", "0s", ""),
    ("POSTGRES__STATEMENT_TIMEOUT", "0s", ""),
    ("POSTGRES__URL", "nonsense", ""),
    ("POSTGRES__URL", "mysql://user:hunter2@127.0.0.1/shop", ""),
    ("POSTGRES__URL", "postgres://user:hunter2@127.0.0.1:notaport/shop", ""),
    ("HTTP__PORT", "65536", ""),
    ("HTTP__PORT", "http", ""),
    ("LOG__FORMAT", "xml", ""),
    ("LOG__FILTER", "=!=", ""),
    ("RELAY__BATCH", "-1", ""),
    ("RELAY__BATCH", "0", ""),
    ("RELAY__BATCH", "1000000", ""),
    ("RELAY__POLL", "0s", ""),
    ("RELAY__PRUNE_EVERY", "0s", ""),
    ("RELAY__STREAM_LENGTH", "0", ""),
    ("RELAY__RETENTION", "0s", ""),
    ("EVENTS__TRANSPORT", "pigeon", ""),
    ("EVENTS__BATCH", "0", ""),
    ("INCARNATION__TRUSTED", "perhaps", ""),
    ("EVENTS__CLAIM_AFTER", "0s", ""),
    ("EVENTS__MAX_ATTEMPTS", "0", ""),
    ("EVENTS__MAX_ATTEMPTS", "1000", ""),
    ("EVENTS__STALE_AFTER", "0s", ""),
    ("PRODUCT_API__TIMEOUT", "0s", ""),
    ("PRODUCT_API__TIMEOUT", "soon", ""),
    ("PRODUCT_API__URL", "127.0.0.1:8004", ""),
    ("PRODUCT_API__URL", "https://127.0.0.1:8004", ""),
];

/// A setting that is invalid, unknown or contradicts another one is refused by its name, before any store is used.
pub async fn invalid_settings_are_refused_by_name<S: Subject>() {
    let subject = S::prepare_stores().await;
    assert!(!S::INVALID_SETTINGS.is_empty(), "no setting of its own is tried");
    let sections = [&["HTTP", "LOG", "REDIS", "REDSI"], S::SHARED_SECTIONS].concat();
    let common = COMMON.iter().filter(|(name, ..)| sections.iter().any(|section| name.starts_with(section)));
    for &(name, value, also) in common.chain(S::INVALID_SETTINGS) {
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
