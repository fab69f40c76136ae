//! The ports of the parts, on loopback.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};

use crate::{Failure, Part, Result};

/// The ports of all parts: numbers in the range, and each different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports {
    ports: [u16; 11],
    /// Whether Redis is a cluster, which listens on more ports than its first one.
    is_clustered: bool,
}

/// The ports of a stack whose environment sets none, in the order of [`Part::all`].
const DEFAULTS: [&str; 11] = ["5433", "6380", "8004", "8005", "8006", "8007", "8014", "8015", "8016", "8017", "8000"];

impl Ports {
    /// Reads the ports from variables; an absent or empty one has its default. Kubernetes and Docker links set variables
    /// such as `REDIS_PORT=tcp://10.0.0.1:6379`.
    ///
    /// # Errors
    /// Returns an error that names the variable if a port is no number from 1 to 65535, or belongs to two parts, including the
    /// further ports of a cluster.
    pub fn read(variable: impl Fn(&str) -> Option<String>, is_clustered: bool) -> Result<Self> {
        let mut ports = [0; 11];
        let parts: Vec<Part> = Part::all().collect();
        for (at, (part, default)) in parts.iter().zip(DEFAULTS).enumerate() {
            let name = part.port_variable();
            let text = variable(&name).filter(|text| !text.is_empty()).unwrap_or_else(|| default.to_owned());
            let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
            ports[at] = text.parse().ok().filter(|_| plain).ok_or_else(|| {
                Failure::new(format!("{name} must be a port from 1 to 65535, got '{text}'."))
                    .hint(format!("Unset it, or set it to a number: {name}=… make up"))
            })?;
            if let Some(other) = ports[..at].iter().position(|port| *port == ports[at]) {
                let (port, other) = (ports[at], parts[other].port_variable());
                return Err(Failure::new(format!("{name} and {other} must be different ports, both are {port}.")));
            }
        }
        let all = Self { ports, is_clustered };
        all.check_cluster()?;
        Ok(all)
    }

    /// Checks that each port of a cluster is in the range, and belongs to no other part.
    fn check_cluster(&self) -> Result<()> {
        if !self.is_clustered {
            return Ok(());
        }
        let (first, variable) = (self.of(Part::Redis), Part::Redis.port_variable());
        if first.checked_add(CLUSTER_PORTS[CLUSTER_PORTS.len() - 1]).is_none() {
            let limit = u16::MAX - CLUSTER_PORTS[CLUSTER_PORTS.len() - 1];
            let message = format!(
                "{variable} must be {limit} or below for a cluster, which has the 15 ports after it, got {first}."
            );
            return Err(Failure::new(message));
        }
        let of_cluster = cluster_ports(first);
        match self.iter().find(|(part, port)| *part != Part::Redis && of_cluster.contains(port)) {
            None => Ok(()),
            Some((part, port)) => {
                let other = part.port_variable();
                Err(Failure::new(format!(
                    "{other} must not be {port}: the cluster uses {variable} + {}.",
                    port - first
                ))
                .hint(format!(
                    "It uses {first} to {} and {} to {}.",
                    first + 5,
                    first + 10,
                    first + 15
                )))
            }
        }
    }

    /// Returns the port of a part.
    pub fn of(&self, part: Part) -> u16 {
        self.iter().find(|(other, _)| *other == part).map_or(0, |(_, port)| port)
    }

    /// Returns each part with its port.
    pub fn iter(&self) -> impl Iterator<Item = (Part, u16)> {
        Part::all().zip(self.ports)
    }

    /// Returns every port on which a part listens: more than one if it is a cluster.
    pub fn all_of(&self, part: Part) -> Vec<u16> {
        let port = self.of(part);
        if part == Part::Redis && self.is_clustered { cluster_ports(port) } else { vec![port] }
    }

    /// Checks that the part can listen on its ports, except those that it uses already: root runs the stores as another user,
    /// who has no privileges.
    ///
    /// # Errors
    /// Returns an error that names the port's variable.
    pub fn require_free(&self, part: Part, except: &[u16]) -> Result<()> {
        let wanted = self.all_of(part).into_iter().filter(|port| !except.contains(port));
        wanted.into_iter().try_for_each(|port| Self::require(port, &part.port_variable()))
    }

    fn require(port: u16, variable: &str) -> Result<()> {
        let first = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").ok();
        let first = first.and_then(|text| text.trim().parse().ok()).unwrap_or(1024);
        if port < first {
            let why = "lower ports need privileges.";
            return Err(Failure::new(format!("{variable} must be {first} or above, got {port}: {why}")));
        }
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            return Ok(());
        }
        Err(Failure::new(format!("port {port} is taken by a process that is not part of this stack."))
            .hint(format!("Stop that process (`ss -ltnp 'sport = :{port}'` names it), or choose another port: {variable}=… make up"))
            .hint("If it is this project's other stack: STACK=docker make down, or STACK=native make down."))
    }
}

/// The ports of a cluster of six servers, relative to its first one: each is for clients, or for the other servers
/// (`deploy/redis/cluster`).
const CLUSTER_PORTS: [u16; 12] = [0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15];

/// Returns the ports of a cluster whose first port is this one.
pub fn cluster_ports(first: u16) -> Vec<u16> {
    CLUSTER_PORTS.iter().filter_map(|more| first.checked_add(*more)).collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn read(name: &str, value: &str) -> Result<Ports> {
        read_for(name, value, false)
    }

    fn read_for(name: &str, value: &str, is_clustered: bool) -> Result<Ports> {
        Ports::read(|variable| (variable == name).then(|| value.to_owned()), is_clustered)
    }

    #[test]
    fn unusable_port_is_refused_by_name() {
        for text in ["tcp://10.0.0.1:6379", "abc", "99999", "65536", "0", "-1", "+80", "08004", "8004 "] {
            let error = read("CART_PORT", text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("CART_PORT must be a port from 1 to 65535, got '{text}'.")), "{error}");
        }
        let error = read("CART_PORT", "8004").unwrap_err().to_string();
        assert_eq!(error, "CART_PORT and PRODUCT_API_PORT must be different ports, both are 8004.");
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let ports = read("REDIS_PORT", &taken.local_addr().unwrap().port().to_string()).unwrap();
        let error = ports.require_free(Part::Redis, &[]).unwrap_err().to_string();
        assert!(error.contains("is taken by a process that is not part") && error.contains("REDIS_PORT=…"), "{error}");
    }

    #[test]
    fn ports_of_a_cluster_are_in_the_range_and_belong_to_no_other_part() {
        for (name, port, says) in [
            (
                "REDIS_PORT",
                65521,
                "REDIS_PORT must be 65520 or below for a cluster, which has the 15 ports after it, got 65521.",
            ),
            ("CART_PORT", 6385, "CART_PORT must not be 6385: the cluster uses REDIS_PORT + 5."),
            ("CONSOLE_PORT", 6390, "CONSOLE_PORT must not be 6390: the cluster uses REDIS_PORT + 10."),
            ("REDIS_PORT", 7994, "PRODUCT_API_PORT must not be 8004: the cluster uses REDIS_PORT + 10."),
        ] {
            let error = read_for(name, &port.to_string(), true).unwrap_err().to_string();
            assert!(error.starts_with(says), "{error}");
            read(name, &port.to_string()).unwrap();
        }
        for (name, port) in
            [("CART_PORT", "6386"), ("CART_PORT", "6389"), ("CART_PORT", "6396"), ("REDIS_PORT", "65520")]
        {
            read_for(name, port, true).unwrap();
        }
    }

    #[test]
    fn each_port_of_a_cluster_must_be_free_unless_the_cluster_has_it() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        for more in [1, 5, 10, 15] {
            let ports = read_for("REDIS_PORT", &(port - more).to_string(), true).unwrap();
            // Another program on this machine may have one of the other ports.
            let others: Vec<u16> = ports.all_of(Part::Redis).into_iter().filter(|other| *other != port).collect();
            let error = ports.require_free(Part::Redis, &others).unwrap_err().to_string();
            assert!(error.starts_with(&format!("port {port} is taken")) && error.contains("REDIS_PORT=…"), "{error}");
            ports.require_free(Part::Redis, &ports.all_of(Part::Redis)).unwrap();
        }
        let script = include_str!("../../../deploy/redis/cluster");
        assert!(script.contains("seq \"$first\" $((first + 5))") && script.contains("cluster-port $((port + 10))"));
    }

    #[test]
    fn default_ports_are_those_of_compose() {
        let compose = include_str!("../../../docker-compose.yml");
        for (part, port) in read("CART_PORT", "").unwrap().iter() {
            let default = format!("${{{}:-{port}}}", part.port_variable());
            assert!(compose.contains(&default), "docker-compose.yml has no {default}");
        }
    }
}
