//! A client program that stays: one line in, one line out. Starting one takes longer than some faults last.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// It ends with this value.
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

    /// Sends something whose answer is one line, and returns that.
    pub(super) async fn ask(&mut self, what: &str) -> Result<String> {
        self.asks.write_all(format!("{what}\n").as_bytes()).await.context("the client has ended")?;
        let mut answer = String::new();
        ensure!(self.answers.read_line(&mut answer).await? > 0, "the client has ended");
        Ok(answer.trim_end().to_owned())
    }
}
