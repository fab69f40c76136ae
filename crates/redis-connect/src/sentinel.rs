//! Sentinels: they know which server is the primary of a service, and make another one the primary when it fails.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::time::timeout;

use crate::credentials::Credentials;
use crate::socket::{Incoming, open};
use crate::tls::Tls;

/// The longest time for one sentinel to answer.
const TIMEOUT: Duration = Duration::from_millis(500);

/// The sentinels of a service, and the credentials for them.
#[derive(Clone, Debug)]
pub(crate) struct Sentinels {
    /// The name that the sentinels have for the primary and its replicas.
    pub(crate) service: String,
    pub(crate) hosts: Vec<(String, u16)>,
    pub(crate) credentials: Credentials,
}

impl Sentinels {
    /// Returns whether a server is a sentinel. fred knows a sentinel by another name if another sentinel has named it,
    /// so the port decides.
    pub(crate) fn is_sentinel(&self, port: u16) -> bool {
        self.hosts.iter().any(|(_, known)| *known == port)
    }

    /// Returns the address of the primary, as the first sentinel that answers knows it. With `tls`, the sentinels are
    /// reached over TLS.
    ///
    /// # Errors
    /// Returns an error if none of them answers and knows the service.
    pub(crate) async fn primary(&self, tls: Option<&Tls>) -> io::Result<(String, u16)> {
        let mut error = io::Error::other("the URL names no sentinel");
        for (host, port) in &self.hosts {
            match timeout(TIMEOUT, self.ask(host, *port, tls)).await {
                Ok(Ok(primary)) => return Ok(primary),
                Ok(Err(failed)) => error = failed,
                Err(_) => error = io::Error::new(io::ErrorKind::TimedOut, "a sentinel did not answer in time"),
            }
        }
        Err(error)
    }

    async fn ask(&self, host: &str, port: u16, tls: Option<&Tls>) -> io::Result<(String, u16)> {
        let (incoming, mut outgoing) = open(host, port, tls).await?;
        let mut incoming = BufReader::new(incoming);
        if let Some((user, password)) = self.credentials.current().await.map_err(io::Error::other)? {
            outgoing.write_all(&command(&["AUTH", &user, &password])).await?;
            outgoing.flush().await?;
            if line(&mut incoming).await? != "+OK" {
                return Err(io::Error::other("a sentinel refuses the login"));
            }
        }
        outgoing.write_all(&command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", &self.service])).await?;
        outgoing.flush().await?;
        if line(&mut incoming).await? != "*2" {
            return Err(io::Error::other("a sentinel does not know the service"));
        }
        let (host, port) = (word(&mut incoming).await?, word(&mut incoming).await?);
        let port = port.parse().map_err(|_| io::Error::other("a sentinel named no port"))?;
        Ok((host, port))
    }
}

/// Returns a command as Redis expects it: an array of strings.
fn command(words: &[&str]) -> Vec<u8> {
    let words = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
    format!("*{}\r\n{}", words.len(), words.collect::<String>()).into_bytes()
}

/// Reads a string that the reply gives with its length.
async fn word(stream: &mut BufReader<Incoming>) -> io::Result<String> {
    let _length = line(stream).await?;
    line(stream).await
}

async fn line(stream: &mut BufReader<Incoming>) -> io::Result<String> {
    let mut line = String::new();
    match stream.read_line(&mut line).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(line.trim_end().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one connection with `reply`, after the request has arrived.
    async fn sentinel(reply: &'static str) -> (String, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 256];
            let length = stream.read(&mut request).await.unwrap();
            assert_eq!(&request[..length], b"*3\r\n$8\r\nSENTINEL\r\n$23\r\nGET-MASTER-ADDR-BY-NAME\r\n$4\r\nshop\r\n");
            stream.write_all(reply.as_bytes()).await.unwrap();
        });
        ("127.0.0.1".to_owned(), port)
    }

    fn sentinels(hosts: Vec<(String, u16)>) -> Sentinels {
        Sentinels { service: "shop".to_owned(), hosts, credentials: Credentials::from_files(None, None).unwrap() }
    }

    #[tokio::test]
    async fn first_sentinel_that_knows_the_service_names_the_primary() {
        let nothing = ("127.0.0.1".to_owned(), 1);
        let (unaware, aware) = (sentinel("*-1\r\n").await, sentinel("*2\r\n$8\r\n10.0.0.7\r\n$4\r\n6380\r\n").await);
        let primary = sentinels(vec![nothing, unaware, aware]).primary(None).await.unwrap();
        assert_eq!(primary, ("10.0.0.7".to_owned(), 6380));
    }

    #[tokio::test]
    async fn service_that_no_sentinel_knows_has_no_primary() {
        let error = sentinels(vec![sentinel("*-1\r\n").await]).primary(None).await.unwrap_err();
        assert!(error.to_string().contains("does not know the service"), "{error}");
        assert!(sentinels(vec![("127.0.0.1".to_owned(), 1)]).primary(None).await.is_err());
        assert!(sentinels(vec![sentinel("*2\r\n$8\r\n10.0.0.7\r\n").await]).primary(None).await.is_err(), "cut off");
    }
}
