//! A client program of a store that keeps running. Starting a program for each question would take longer than some
//! faults last.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// The running program. It is killed when this value is dropped.
#[derive(Debug)]
pub(super) struct StoreClient {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    _program: Child,
}

impl StoreClient {
    pub(super) fn start(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut program = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
        let input = program.stdin.take().context("it has no input")?;
        let output = BufReader::new(program.stdout.take().context("it has no output")?);
        Ok(Self { input, output, _program: program })
    }

    /// Sends a line whose reply is one line, and returns the reply.
    pub(super) async fn ask(&mut self, line: &str) -> Result<String> {
        self.input.write_all(format!("{line}\n").as_bytes()).await.context("the client has ended")?;
        self.line().await
    }

    /// Runs a statement in psql, and returns its rows.
    pub(super) async fn sql(&mut self, statement: &str) -> Result<Vec<String>> {
        let lines = format!("{statement};\n\\echo failed: :ERROR\n");
        self.input.write_all(lines.as_bytes()).await.context("psql has ended")?;
        let mut rows = Vec::new();
        loop {
            let line = self.line().await?;
            match line.strip_prefix("failed: ") {
                Some(failed) => {
                    ensure!(failed == "false", "the statement was refused: {statement}");
                    return Ok(rows);
                }
                None => rows.push(line),
            }
        }
    }

    async fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.output.read_line(&mut line).await? > 0, "the client has ended");
        Ok(line.trim_end().to_owned())
    }
}
