//! One query over a connection of its own.

use anyhow::{Error, Result, anyhow};
use tokio_postgres::{NoTls, SimpleQueryMessage, connect};

/// Returns the result of `sql`: one line per row, columns separated by `|`, nothing for NULL.
pub(super) async fn run(url: &str, sql: &str) -> Result<String> {
    let (client, connection) = connect(url, NoTls).await.map_err(readable)?;
    // The connection runs in this task, so that it closes when the caller gives up.
    let messages = tokio::select! {
        messages = client.simple_query(sql) => messages.map_err(readable)?,
        Err(error) = connection => return Err(readable(error)),
    };
    let mut lines = Vec::new();
    for message in messages {
        if let SimpleQueryMessage::Row(row) = message {
            let columns: Vec<_> = (0..row.len()).map(|column| row.get(column).unwrap_or_default()).collect();
            lines.push(columns.join("|"));
        }
    }
    Ok(lines.join("\n"))
}

/// Returns an error with the message of the server.
fn readable(error: tokio_postgres::Error) -> Error {
    match error.as_db_error() {
        Some(said) => anyhow!("{}: {}", said.severity(), said.message()),
        None => error.into(),
    }
}
