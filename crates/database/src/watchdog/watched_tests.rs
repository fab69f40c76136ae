//! A connection fails if Postgres is silent for too long, and only then.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;

const SILENCE: Duration = Duration::from_millis(50);
const STARTUP: &[u8] = b"\0\0\0\x09\0\x03\0\0\0";
const QUERY: &[u8] = b"Q\0\0\0\x0dSELECT 1\0";
const READY: &[u8] = b"Z\0\0\0\x05I";

/// Returns a stream, Postgres' end of it, and their connection state.
async fn connection_state() -> (WatchedStream<DuplexStream>, DuplexStream, Arc<ConnectionState>) {
    let (ours, postgres) = duplex(64 * 1024);
    let connection_state = Arc::new(ConnectionState::new(Some(SILENCE), Arc::default()));
    (WatchedStream::new(ours, Arc::clone(&connection_state)), postgres, connection_state)
}

/// Returns a stream after the login.
async fn session() -> (WatchedStream<DuplexStream>, DuplexStream, Arc<ConnectionState>) {
    let (mut watched, mut postgres, connection_state) = connection_state().await;
    watched.write_all(STARTUP).await.expect("room");
    answer(&mut watched, &mut postgres, READY).await;
    assert!(!watched.is_waiting());
    (watched, postgres, connection_state)
}

async fn answer(watched: &mut WatchedStream<DuplexStream>, postgres: &mut DuplexStream, bytes: &[u8]) {
    postgres.write_all(bytes).await.expect("room");
    watched.read_exact(&mut vec![0; bytes.len()]).await.expect("what was written");
}

/// Reads until the stream fails.
async fn failure(watched: &mut WatchedStream<DuplexStream>) -> ErrorKind {
    loop {
        if let Err(error) = watched.read_buf(&mut Vec::with_capacity(1024)).await {
            return error.kind();
        }
    }
}

/// Returns whether the stream survives a silence.
async fn survives(watched: &mut WatchedStream<DuplexStream>) -> bool {
    tokio::time::timeout(4 * SILENCE, failure(watched)).await.is_err()
}

#[tokio::test]
async fn response_split_anywhere_ends_the_wait() {
    let (mut watched, mut postgres, _) = session().await;
    let whole = [b"D\0\0\0\x0cZ\0\0\0\x05IZ\0".as_slice(), b"C\0\0\0\x0dSELECT 1\0", READY].concat();
    for split in 0..=whole.len() {
        watched.write_all(QUERY).await.expect("room");
        answer(&mut watched, &mut postgres, &whole[..split]).await;
        assert_eq!(watched.is_waiting(), split < whole.len(), "after {split} bytes");
        answer(&mut watched, &mut postgres, &whole[split..]).await;
        assert!(!watched.is_waiting(), "split after {split} bytes");
    }
    assert!(survives(&mut watched).await);
}

#[tokio::test]
async fn silence_during_an_outstanding_response_fails_the_connection() {
    let (mut watched, mut postgres, _) = connection_state().await;
    assert!(survives(&mut watched).await, "nothing is owed");
    watched.write_all(STARTUP).await.expect("room");
    answer(&mut watched, &mut postgres, b"N\0\0\0\x05x").await;
    assert!(watched.is_waiting(), "a notice is not the end of the answer");
    assert_eq!(failure(&mut watched).await, ErrorKind::TimedOut);
}

#[tokio::test]
async fn second_request_is_watched_after_the_first_response() {
    let (mut watched, mut postgres, _) = session().await;
    watched.write_all(&[QUERY, QUERY].concat()).await.expect("room");
    answer(&mut watched, &mut postgres, READY).await;
    assert_eq!(failure(&mut watched).await, ErrorKind::TimedOut);
}

#[tokio::test]
async fn partially_sent_request_is_watched() {
    let (mut watched, _postgres, _) = session().await;
    watched.write_all(&QUERY[..7]).await.expect("room");
    assert_eq!(failure(&mut watched).await, ErrorKind::TimedOut);
}

#[tokio::test]
async fn silence_limit_follows_the_statement_timeout() {
    let (mut watched, mut postgres, connection_state) = session().await;
    for limit in [Some(Duration::from_secs(3600)), None] {
        let _longer = connection_state.allow(limit);
        watched.write_all(QUERY).await.expect("room");
        assert!(survives(&mut watched).await, "{limit:?}");
        answer(&mut watched, &mut postgres, READY).await;
    }
    watched.write_all(QUERY).await.expect("room");
    assert_eq!(failure(&mut watched).await, ErrorKind::TimedOut, "the default counts again");
}

#[tokio::test]
async fn long_statement_fails_soon_after_another_connection_was_found_dead() {
    for limit in [Some(Duration::from_secs(3600)), None] {
        let (mut watched, _postgres, connection_state) = session().await;
        let _longer = connection_state.allow(limit);
        watched.write_all(QUERY).await.expect("room");
        assert!(survives(&mut watched).await, "{limit:?}");
        let failure = tokio::time::timeout(Duration::from_secs(20), failure(&mut watched));
        let (failure, ()) = tokio::join!(failure, async { connection_state.lose_server() });
        assert_eq!(failure.expect("it waits for no long timeout"), ErrorKind::TimedOut, "{limit:?}");
    }
}

#[tokio::test]
async fn one_byte_answers_the_tls_request() {
    let (mut watched, mut postgres, _) = connection_state().await;
    watched.write_all(b"\0\0\0\x08\x04\xd2\x16\x2f").await.expect("room");
    assert!(watched.is_waiting());
    answer(&mut watched, &mut postgres, b"N").await;
    assert!(!watched.is_waiting());
    watched.write_all(STARTUP).await.expect("room");
    answer(&mut watched, &mut postgres, READY).await;
    assert!(!watched.is_waiting());
}
