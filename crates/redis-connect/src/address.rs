//! The address of a Redis server, checked. Its `Debug` output shows no secrets.

use std::collections::HashMap;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::credentials::Credentials;
use crate::error::AddressError;
use crate::sentinel::Sentinels;
use crate::tls::Tls;

/// The address of a Redis server, the number of its database, and the credentials. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RedisAddress {
    pub(crate) target: Target,
    pub(crate) database: u8,
    pub(crate) credentials: Credentials,
    pub(crate) tls: Option<Tls>,
}

#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// The brackets of an IPv6 address are removed from the host.
    Tcp {
        host: String,
        port: u16,
    },
    Unix(PathBuf),
    /// The primary is found through its sentinels.
    Sentinels(Sentinels),
    /// Some nodes of a cluster, which know all of it.
    Cluster(Vec<(String, u16)>),
}

/// The default port of a server, and of a sentinel.
const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

impl RedisAddress {
    /// Checks a URL, and reads the files that it names once, so that a missing one is found at the start.
    ///
    /// # Errors
    /// Returns an error if the URL or a file cannot be used.
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        let url = Url::parse(url).map_err(|error| AddressError::Url(error.to_string()))?;
        let mut parameters = Parameters(url.query_pairs().into_owned().collect());
        let (target, database) = match url.scheme() {
            "redis" | "rediss" => (tcp(&url)?, url.path().trim_start_matches('/').to_owned()),
            "redis-sentinel" | "rediss-sentinel" => {
                let sentinels = sentinels(&url, &mut parameters)?;
                (Target::Sentinels(sentinels), url.path().trim_start_matches('/').to_owned())
            }
            "redis-cluster" | "rediss-cluster" if url.path().trim_start_matches('/').is_empty() => {
                (Target::Cluster(hosts(&url, PORT, &mut parameters)?), String::new())
            }
            "redis-cluster" | "rediss-cluster" => {
                return Err(AddressError::Url("a cluster has only database 0".to_owned()));
            }
            "redis+unix" => (unix(&url)?, parameters.take("db").unwrap_or_default()),
            other => return Err(AddressError::Url(format!("it begins with {other}:"))),
        };
        let tls = match url.scheme() {
            "rediss" | "rediss-sentinel" | "rediss-cluster" => {
                let [ca, certificate, key] = ["ca_file", "cert_file", "key_file"].map(|name| parameters.file(name));
                Some(Tls::new(ca.as_deref(), certificate.as_deref(), key.as_deref())?)
            }
            _ => None,
        };
        let credentials = Credentials::new(&url, parameters.file("user_file"), parameters.file("password_file"))?;
        match parameters.0.keys().next() {
            Some(unknown) => Err(AddressError::Url(format!("it has the unknown parameter {unknown}"))),
            None => Ok(Self { target, database: number(&database)?, credentials, tls }),
        }
    }

    /// Returns the credentials.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Returns whether the address leads to a cluster.
    pub fn is_cluster(&self) -> bool {
        matches!(self.target, Target::Cluster(_))
    }

    /// Returns the number of the database.
    pub fn database(&self) -> u8 {
        self.database
    }
}

/// The parameters of a URL that have not been used yet.
struct Parameters(HashMap<String, String>);

impl Parameters {
    fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    fn file(&mut self, name: &str) -> Option<PathBuf> {
        self.take(name).map(PathBuf::from)
    }
}

fn tcp(url: &Url) -> Result<Target, AddressError> {
    Ok(Target::Tcp { host: host(url)?, port: url.port().unwrap_or(PORT) })
}

fn host(url: &Url) -> Result<String, AddressError> {
    match url.host_str() {
        None | Some("") => Err(AddressError::Url("it has no host".to_owned())),
        Some(host) => Ok(host.trim_start_matches('[').trim_end_matches(']').to_owned()),
    }
}

/// Returns the sentinels that a URL names: one as its host, further ones in a parameter.
fn sentinels(url: &Url, parameters: &mut Parameters) -> Result<Sentinels, AddressError> {
    let no_service = || AddressError::Url("it has no parameter service, the name that the sentinels know".to_owned());
    let service = parameters.take("service").filter(|name| !name.is_empty()).ok_or_else(no_service)?;
    let hosts = hosts(url, SENTINEL_PORT, parameters)?;
    let [user, password] = ["sentinel_user_file", "sentinel_password_file"].map(|name| parameters.file(name));
    Ok(Sentinels { service, hosts, credentials: Credentials::from_files(user, password)? })
}

/// Returns the host of a URL, and those of its parameter `nodes`.
fn hosts(url: &Url, port: u16, parameters: &mut Parameters) -> Result<Vec<(String, u16)>, AddressError> {
    let nodes = parameters.take("nodes").unwrap_or_default();
    let nodes = nodes.split(',').filter(|node| !node.is_empty()).map(|node| Url::parse(&format!("redis://{node}")));
    let mut hosts = Vec::new();
    for url in [Ok(url.clone())].into_iter().chain(nodes) {
        let url = url.map_err(|error| AddressError::Url(format!("one of its nodes cannot be used: {error}")))?;
        hosts.push((host(&url)?, url.port().unwrap_or(port)));
    }
    Ok(hosts)
}

fn unix(url: &Url) -> Result<Target, AddressError> {
    let path = percent_decode_str(url.path()).decode_utf8().map_err(|error| AddressError::Url(error.to_string()))?;
    match path.len() {
        0 | 1 => Err(AddressError::Url("it has no path of a socket".to_owned())),
        _ => Ok(Target::Unix(PathBuf::from(&*path))),
    }
}

fn number(database: &str) -> Result<u8, AddressError> {
    match database {
        "" => Ok(0),
        text => text.parse().map_err(|_| AddressError::Url("its database is not a number from 0 to 255".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_understood() {
        let tcp = |host: &str, port: u16| format!("{:?}", Target::Tcp { host: host.to_owned(), port });
        let unix = |path: &str| format!("{:?}", Target::Unix(path.into()));
        for (url, target, database) in [
            ("redis://127.0.0.1", tcp("127.0.0.1", 6379), 0),
            ("redis://user:secret@redis:6380/3", tcp("redis", 6380), 3),
            ("redis://[::1]:6380", tcp("::1", 6380), 0),
            ("redis+unix:///run/redis.sock", unix("/run/redis.sock"), 0),
            ("redis+unix://user:secret@localhost/run/my%20redis.sock?db=2", unix("/run/my redis.sock"), 2),
        ] {
            let address = RedisAddress::parse(url).unwrap();
            assert_eq!((format!("{:?}", address.target), address.database), (target, database), "{url}");
            assert!(!format!("{address:?}").contains("secret"), "{address:?}");
        }
    }

    #[test]
    fn unusable_urls_are_refused_without_repeating_them() {
        for (url, reason) in [
            ("127.0.0.1:6379", "relative URL without a base"),
            ("http://user:secret@host", "it begins with http:"),
            ("redis://user:secret@host:port", "invalid port number"),
            ("redis://user:secret@host/zero", "its database is not a number"),
            ("redis://user:secret@host/256", "its database is not a number"),
            ("redis://", "it has no host"),
            ("redis+unix://user:secret@host", "it has no path"),
            ("redis+unix:///run/redis.sock?database=1", "it has the unknown parameter database"),
            ("redis://user:secret@host/0?db=1", "it has the unknown parameter db"),
        ] {
            let error = RedisAddress::parse(url).unwrap_err().to_string();
            assert!(error.contains(reason) && !error.contains("secret"), "{url}: {error}");
        }
    }

    #[test]
    fn sentinels_are_named_by_the_host_and_a_parameter() {
        let url = "redis-sentinel://user:secret@one:26380/3?service=shop&nodes=two,[::1]:26381";
        let address = RedisAddress::parse(url).unwrap();
        let Target::Sentinels(Sentinels { service, hosts, .. }) = &address.target else { panic!("{address:?}") };
        let hosts: Vec<(&str, u16)> = hosts.iter().map(|(host, port)| (host.as_str(), *port)).collect();
        assert_eq!((service.as_str(), address.database), ("shop", 3));
        assert_eq!(hosts, [("one", 26380), ("two", 26379), ("::1", 26381)]);
        for (url, reason) in [
            ("redis-sentinel://one", "it has no parameter service"),
            ("redis-sentinel://one?service=shop&nodes=two:port", "one of its nodes cannot be used"),
            ("redis://one?service=shop", "it has the unknown parameter service"),
            ("redis-cluster://one/3", "a cluster has only database 0"),
            ("redis-cluster://one?ca_file=/ca.pem", "it has the unknown parameter ca_file"),
            ("redis-sentinel://one?service=shop&ca_file=/ca.pem", "it has the unknown parameter ca_file"),
        ] {
            let error = RedisAddress::parse(url).unwrap_err().to_string();
            assert!(error.contains(reason), "{url}: {error}");
        }
    }

    #[test]
    #[cfg(feature = "tls")]
    fn every_kind_of_target_can_be_reached_over_tls() {
        for url in ["rediss://one?", "rediss-sentinel://one?service=shop&", "rediss-cluster://one?"] {
            let error = RedisAddress::parse(&format!("{url}ca_file=/none.pem")).unwrap_err().to_string();
            assert!(error.contains("/none.pem cannot be used"), "{url}: {error}");
        }
    }

    #[test]
    fn certificates_need_tls() {
        let error = RedisAddress::parse("redis://host?ca_file=/ca.pem").unwrap_err().to_string();
        assert!(error.contains("it has the unknown parameter ca_file"), "{error}");
    }
}
