//! A client program that keeps running: one line of input gives one line of output. Starting a program for each
//! question would take longer than some faults last.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// The session. The program is killed when the session is dropped.
#[derive(Debug)]
pub(super) struct Session {
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
    _client: Child,
}

impl Session {
    pub(super) fn start(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut client = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
        let asks = client.stdin.take().context("it has no input")?;
        let answers = BufReader::new(client.stdout.take().context("it has no output")?);
        Ok(Self { asks, answers, _client: client })
    }

    /// Sends a line whose reply is one line, and returns the reply.
    pub(super) async fn ask(&mut self, what: &str) -> Result<String> {
        self.asks.write_all(format!("{what}\n").as_bytes()).await.context("the client has ended")?;
        let mut answer = String::new();
        ensure!(self.answers.read_line(&mut answer).await? > 0, "the client has ended");
        Ok(answer.trim_end().to_owned())
    }
}
