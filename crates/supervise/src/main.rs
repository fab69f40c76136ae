//! The stack without Docker: private Postgres, Redis and services of a checkout, on loopback. `deploy/native/stack` runs it.

mod commands;
mod postgres;
mod redis;
mod service;
mod stack;

use std::path::PathBuf;
use std::process::ExitCode;

use supervise::{Result, tools};

use crate::stack::{Stack, print};

/// The usage text. The checkout is the first argument, before the command.
const USAGE: &str = include_str!("usage.txt");

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let checkout = PathBuf::from(arguments.next().unwrap_or_default());
    let command = arguments.next().unwrap_or_default();
    let arguments: Vec<String> = arguments.collect();
    match run(checkout, &command, &arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            print(USAGE.trim_end());
            ExitCode::from(2)
        }
        Err(failure) => {
            // The script `tools` runs `find`, and itself prints what is missing.
            if command != "find" {
                let text = failure.to_string();
                let (message, hints) = text.split_once('\n').unwrap_or((&text, ""));
                eprintln!("\x1b[1;31m[stack] {message}\x1b[0m");
                hints.lines().for_each(|hint| eprintln!("        {hint}"));
            }
            ExitCode::FAILURE
        }
    }
}

/// Runs a command. Returns `false` if there is no such command.
fn run(checkout: PathBuf, command: &str, arguments: &[String]) -> Result<bool> {
    let first = arguments.first().map(String::as_str);
    if command == "find" {
        match first {
            Some("postgres") => print(tools::postgres_folder()?.display()),
            Some("redis") => print(tools::redis_client().and_then(|_| tools::redis_server())?.display()),
            _ => return Ok(false),
        }
        return Ok(true);
    }
    let stack = Stack::open(checkout)?;
    match command {
        "up" => stack.up(),
        "down" => stack.down(),
        "reset" => stack.reset(),
        "ps" => stack.ps(),
        "logs" => stack.logs(first),
        "url" => stack.print_url(first),
        "psql" => stack.psql(arguments),
        "redis-cli" => stack.redis_cli_shell(arguments),
        "start" => stack.start(first, arguments.get(1..).unwrap_or_default()),
        "stop" => stack.stop(first),
        "signal" => stack.signal(first, arguments.get(1).map(String::as_str)),
        "forget" => stack.forget(first),
        "address" => stack.address(first),
        _ => return Ok(false),
    }?;
    Ok(true)
}
