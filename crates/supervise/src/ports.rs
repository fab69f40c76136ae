//! The ports of the parts, on loopback.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};

use crate::{Failure, Part, Result};

/// The ports of all parts: numbers in the range, and each different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports([u16; 11]);

/// The ports of a stack whose environment sets none, in the order of [`Part::all`].
const DEFAULTS: [&str; 11] = ["5433", "6380", "8004", "8005", "8006", "8007", "8014", "8015", "8016", "8017", "8000"];

impl Ports {
    /// Reads the ports from variables; an absent or empty one has its default. Kubernetes and Docker links set variables
    /// such as `REDIS_PORT=tcp://10.0.0.1:6379`.
    ///
    /// # Errors
    /// Returns an error that names the variable if a port is no number from 1 to 65535, or belongs to two parts.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
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
        Ok(Self(ports))
    }

    /// Returns the port of a part.
    pub fn of(&self, part: Part) -> u16 {
        self.iter().find(|(other, _)| *other == part).map_or(0, |(_, port)| port)
    }

    /// Returns each part with its port.
    pub fn iter(&self) -> impl Iterator<Item = (Part, u16)> {
        Part::all().zip(self.0)
    }

    /// Checks that the part can listen on its port: root runs the stores as another user, who has no privileges.
    ///
    /// # Errors
    /// Returns an error that names the port's variable.
    pub fn require_free(&self, part: Part) -> Result<()> {
        let (port, variable) = (self.of(part), part.port_variable());
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

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn read(name: &str, value: &str) -> Result<Ports> {
        Ports::read(|variable| (variable == name).then(|| value.to_owned()))
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
        let error = ports.require_free(Part::Redis).unwrap_err().to_string();
        assert!(error.contains("is taken by a process that is not part") && error.contains("REDIS_PORT=…"), "{error}");
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
