//! The effects of a proxy on a connection.

use std::time::Duration;

use anyhow::Result;
use testkit::{Proxy, SOON};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// A side that has received nothing after this time counts as silent.
const SILENCE: Duration = Duration::from_millis(300);

/// Returns a connection through a proxy: the proxy, the client's end, the server's end.
async fn connected() -> Result<(Proxy, TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let wire = Proxy::to(listener.local_addr()?.port()).await?;
    let mut client = TcpStream::connect(wire.address()).await?;
    let (mut server, _) = listener.accept().await?;
    client.write_all(b"?").await?;
    assert_eq!(server.read_u8().await?, b'?');
    server.write_all(b"!").await?;
    assert_eq!(client.read_u8().await?, b'!');
    Ok((wire, client, server))
}

/// Returns whether this end sees that the other one has closed, or `None` if it sees nothing.
async fn sees_the_end(end: &mut TcpStream, within: Duration) -> Option<bool> {
    timeout(within, end.read_u8()).await.ok().map(|read| read.is_err())
}

#[tokio::test]
async fn a_close_is_passed_on_in_both_directions() -> Result<()> {
    let (_wire, client, mut server) = connected().await?;
    drop(client);
    assert_eq!(sees_the_end(&mut server, SOON).await, Some(true));
    let (_wire, mut client, server) = connected().await?;
    drop(server);
    assert_eq!(sees_the_end(&mut client, SOON).await, Some(true));
    Ok(())
}

#[tokio::test]
async fn dead_connection_hides_a_close_from_the_other_end() -> Result<()> {
    let (wire, client, mut server) = connected().await?;
    wire.drop_packets();
    drop(client);
    assert_eq!(sees_the_end(&mut server, SILENCE).await, None);
    drop(wire);
    assert_eq!(sees_the_end(&mut server, SOON).await, Some(true));

    let (wire, mut client, mut server) = connected().await?;
    wire.drop_packets();
    server.write_all(b"lost").await?;
    drop(server);
    assert_eq!(sees_the_end(&mut client, SILENCE).await, None);
    wire.cut();
    wire.restore();
    assert_eq!(sees_the_end(&mut client, SILENCE).await, None, "a cut elsewhere on the wire is not reported");
    drop(wire);
    assert_eq!(sees_the_end(&mut client, SOON).await, Some(true));
    Ok(())
}

#[tokio::test]
async fn cut_closes_connections_and_drops_held_and_delayed_bytes() -> Result<()> {
    let (wire, mut client, mut server) = connected().await?;
    wire.hold_requests();
    client.write_all(b"held").await?;
    wire.cut();
    wire.release_requests();
    wire.restore();
    assert_eq!(sees_the_end(&mut client, SOON).await, Some(true));
    assert_eq!(sees_the_end(&mut server, SOON).await, Some(true), "nothing of what was held gets through");

    let (wire, mut client, mut server) = connected().await?;
    wire.delay(Duration::from_secs(3_600));
    server.write_all(b"late").await?;
    assert_eq!(sees_the_end(&mut client, SILENCE).await, None);
    wire.cut();
    assert_eq!(sees_the_end(&mut client, SOON).await, Some(true));
    Ok(())
}
