//! Starts a private Postgres, a private Redis and a sleeping process, and prints where they are. Exits at the end of
//! its input.

use std::io;
use std::process::Command;

use testkit::{ChildProcess, Postgres, Redis};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let redis = Redis::start().await?;
    let postgres = Postgres::start().await?;
    let process = ChildProcess::start(Command::new("sleep").arg("86400"))?;
    println!("redis {} {}", redis.pid(), redis.url());
    println!("postgres {} {}", postgres.pid(), postgres.url("postgres"));
    println!("process {} sleep", process.pid());
    println!("ready: Ctrl-D or Ctrl-C ends them");
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
