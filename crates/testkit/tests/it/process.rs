//! Operations of a test on a process; a shell and a Redis take the place of the project's binaries here.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use testkit::{ChildProcess, SOON, eventually, free_port};

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

#[tokio::test]
async fn a_process_gets_its_arguments_and_environment_and_its_output_is_kept() -> Result<()> {
    let process = ChildProcess::start(
        shell("echo $GREETING \"$0\"; echo oops >&2; exit 3").arg("it's \"me\"").env("GREETING", "hi"),
    )?;
    assert_eq!(process.exit().await?.code, 3);
    assert_eq!(process.output(), "hi it's \"me\"\noops\n");
    assert!(!process.is_alive());
    Ok(())
}

#[tokio::test]
async fn term_reports_the_exit_code_and_the_time() -> Result<()> {
    let process = ChildProcess::start(&shell("trap 'sleep 0.2; exit 7' TERM; echo up; while :; do sleep 0.01; done"))?;
    eventually("the script", SOON, async || process.output() == "up\n").await;
    let exit = process.term().await?;
    assert_eq!(exit.code, 7);
    assert!(exit.took >= Duration::from_millis(200), "{exit:?}");
    Ok(())
}

#[tokio::test]
async fn kill9_ends_a_process_that_traps_signals() -> Result<()> {
    let process = ChildProcess::start(&shell("trap 'echo no' TERM; while :; do sleep 0.01; done"))?;
    process.kill9().await?;
    assert!(!process.is_alive());
    assert_eq!(process.exit().await?.code, 128 + 9);
    Ok(())
}

#[tokio::test]
async fn a_paused_process_makes_no_progress() -> Result<()> {
    let process = ChildProcess::start(&shell("while :; do echo tick; sleep 0.01; done"))?;
    eventually("a tick", SOON, async || !process.output().is_empty()).await;
    process.pause();
    let stopped =
        || fs::read_to_string(format!("/proc/{}/stat", process.pid())).is_ok_and(|stat| stat.contains(") T "));
    eventually("the stop", SOON, async || stopped()).await;
    let ticks = process.output().len();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(process.output().len(), ticks);
    process.resume();
    eventually("more ticks", SOON, async || process.output().len() > ticks).await;
    Ok(())
}

#[tokio::test]
async fn wait_for_http_returns_at_the_first_success() -> Result<()> {
    let port = free_port();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    tokio::spawn(async move {
        for answer in ["503 Service Unavailable", "200 OK", "404 Not Found"] {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let head = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n");
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes()).await;
        }
    });
    let process = ChildProcess::start(Command::new("sleep").arg("60"))?;
    process.wait_for_http(&format!("http://127.0.0.1:{port}/readyz"), SOON).await?;
    Ok(())
}

#[tokio::test]
async fn wait_for_http_fails_at_once_with_the_output_of_an_exited_process() -> Result<()> {
    let process = ChildProcess::start(&shell("echo no database; exit 1"))?;
    let url = format!("http://127.0.0.1:{}/", free_port());
    let error = process.wait_for_http(&url, Duration::from_secs(60)).await.expect_err("it has ended");
    assert!(format!("{error:#}").contains("no database"), "{error:#}");
    Ok(())
}
