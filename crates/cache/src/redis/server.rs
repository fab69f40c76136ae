//! The state of the Redis server, from `INFO` and from error replies.

use super::scripts::commands_at;
use crate::health::Reason;

/// What `INFO` shows of a server. A field is `None` if it is hidden (by a managed service, a proxy or an ACL).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ServerInfo {
    pub(super) identity: Identity,
    version: Option<String>,
    is_replica: bool,
    is_loading: bool,
    /// Whether it is a node of a cluster.
    pub(super) is_cluster_node: bool,
    eviction_policy: Option<String>,
}

/// The identity of a server and of its dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Identity {
    /// Changes with every start of the process.
    run_id: Option<String>,
    /// Changes with every promotion; on a replica, it is that of the primary.
    replication_id: Option<String>,
}

impl ServerInfo {
    pub(super) fn parse(info: &str) -> Self {
        // Valkey reports the Redis version with which it is compatible (7.2.4) here, and its own version in another
        // field.
        Self {
            identity: Identity { run_id: field(info, "run_id"), replication_id: field(info, "master_replid") },
            version: field(info, "redis_version"),
            is_replica: field(info, "role").is_some_and(|role| role != "master"),
            is_loading: field(info, "loading").is_some_and(|loading| loading != "0"),
            // Valkey has both names.
            is_cluster_node: ["redis_mode", "server_mode"]
                .map(|name| field(info, name))
                .contains(&Some("cluster".into())),
            eviction_policy: field(info, "maxmemory_policy"),
        }
    }

    /// Returns the state of several servers that share a dataset: the first problem of any of them counts.
    pub(super) fn of_all(mut servers: Vec<Self>) -> Self {
        // In an order that does not depend on which one answered first.
        servers.sort_by(|one, other| one.identity.run_id.cmp(&other.identity.run_id));
        let all = |field: fn(&Self) -> Option<&String>| -> Option<String> {
            let fields: Option<Vec<&str>> = servers.iter().map(|server| field(server).map(String::as_str)).collect();
            fields.filter(|fields| !fields.is_empty()).map(|fields| fields.join(","))
        };
        let identity = Identity {
            run_id: all(|server| server.identity.run_id.as_ref()),
            replication_id: all(|server| server.identity.replication_id.as_ref()),
        };
        let eviction_policy = all(|server| server.eviction_policy.as_ref());
        match servers.into_iter().reduce(|one, other| if one.forbids_use().is_some() { one } else { other }) {
            Some(worst) if worst.forbids_use().is_some() => Self { identity, ..worst },
            Some(any) => Self { identity, eviction_policy, ..any },
            None => Self::default(),
        }
    }

    /// Returns the reason why this server must not be used, if there is one.
    pub(super) fn forbids_use(&self) -> Option<Reason> {
        let major = self.version.as_deref().and_then(|version| version.split('.').next()?.parse().ok());
        if let Some(version) = self.version.clone().filter(|_| major.is_some_and(|major: u32| major < 7)) {
            return Some(Reason::Version(version));
        }
        if let Some(policy) = self.eviction_policy.clone().filter(|policy| policy.starts_with("allkeys")) {
            return Some(Reason::EvictionPolicy(policy));
        }
        match (self.is_loading, self.is_replica) {
            (true, _) => Some(Reason::Loading),
            (false, true) => Some(Reason::Replica),
            (false, false) => None,
        }
    }

    /// Returns the protection that is missing, if any.
    pub(super) fn missing_protection(&self) -> Option<Reason> {
        match (&self.identity.run_id, &self.eviction_policy) {
            (None, None) => Some(Reason::NoInfo),
            (None, Some(_)) => Some(Reason::NoRunId),
            (Some(_), None) => Some(Reason::NoEvictionPolicy),
            (Some(_), Some(_)) => None,
        }
    }
}

impl Identity {
    pub(super) fn run_id(&self) -> Option<&str> {
        self.run_id.as_deref()
    }

    /// Returns the run id and the id of the dataset, as one word; `None` for a server that hides its run id.
    pub(super) fn register_id(&self) -> Option<String> {
        Some([self.run_id.as_deref()?, self.replication_id.as_deref().unwrap_or_default()].concat())
    }

    /// Returns a name for each server, which a restart and a promotion change; `None` if a server hides its run id.
    pub(super) fn servers(&self) -> Option<Vec<String>> {
        let run_ids = self.run_id.as_deref()?.split(',');
        // Hidden replication ids have no order, but then there are none.
        let mut replication_ids = self.replication_id.as_deref().unwrap_or_default().split(',');
        Some(run_ids.map(|run_id| format!("{run_id}:{}", replication_ids.next().unwrap_or_default())).collect())
    }

    /// Returns whether a server with this identity has the dataset that `other` had; `None` if `INFO` does not show it.
    pub(super) fn is_same(&self, other: &Self) -> Option<bool> {
        let run_id = self.run_id.as_ref().zip(other.run_id.as_ref()).map(|(one, other)| one == other)?;
        let promoted = self.replication_id.as_ref().zip(other.replication_id.as_ref());
        Some(run_id && promoted.is_none_or(|(one, other)| one == other))
    }
}

fn field(info: &str, name: &str) -> Option<String> {
    let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?.trim();
    Some(value.to_owned()).filter(|value| !value.is_empty())
}

/// Returns the state of the server that an error names, if any. Only this function knows the error codes.
pub(super) fn classify_error(error: &str) -> Option<Reason> {
    match error.split_whitespace().next().unwrap_or_default() {
        "READONLY" | "MASTERDOWN" => Some(Reason::Replica),
        "LOADING" => Some(Reason::Loading),
        "MISCONF" => Some(Reason::SaveFailed),
        "NOREPLICAS" => Some(Reason::TooFewReplicas),
        "OOM" => Some(Reason::Full),
        "BUSY" => Some(Reason::Busy),
        // The last one: a server without a password that only accepts clients of its own machine.
        "NOAUTH" | "WRONGPASS" | "DENIED" => Some(Reason::Login(error.to_owned())),
        "NOPERM" => Some(Reason::Forbidden(refused(error))),
        _ if error.contains("max number of clients") => Some(Reason::TooManyClients),
        _ if error.starts_with("ERR AUTH ") => Some(Reason::Login(error.to_owned())),
        // The wordings of NOPERM for a command within a script: of Redis 7.2 and Valkey, and of Redis 7.0.
        _ if error.contains("ACL failure in script") => Some(Reason::Forbidden(refused(error))),
        _ if error.contains("The user executing the script") => Some(Reason::Forbidden(refused(error))),
        _ => None,
    }
}

/// Returns what a reply refuses to the user. It quotes a command, and no key or channel. Redis 7.0 does not quote a command
/// of a script, and names its line.
fn refused(error: &str) -> String {
    let quoted: Vec<&str> = error.split('\'').collect();
    match quoted.as_slice() {
        [_, command, _, ..] => format!("the command `{command}`"),
        _ if error.contains("can't run") => match commands_at(error) {
            Some(commands) => format!("the command `{commands}`"),
            None => "a command".to_owned(),
        },
        _ if error.contains("channel") => "a channel".to_owned(),
        _ if error.contains("key") => "a key".to_owned(),
        _ => "a command".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "# Server\r\nredis_version:7.0.15\r\nrun_id:aaaa\r\n# Memory\r\nmaxmemory_policy:volatile-lru\r\n\
                        # Persistence\r\nloading:0\r\n# Replication\r\nrole:master\r\nmaster_replid:bbbb\r\n";

    fn info(old: &str, new: &str) -> ServerInfo {
        ServerInfo::parse(&INFO.replace(old, new))
    }

    #[test]
    fn server_state_is_read_from_info() {
        let cases = [
            ("", "", None),
            ("role:master", "role:slave", Some(Reason::Replica)),
            ("loading:0", "loading:1", Some(Reason::Loading)),
            ("volatile-lru", "allkeys-lfu", Some(Reason::EvictionPolicy("allkeys-lfu".to_owned()))),
            ("7.0.15", "6.2.14", Some(Reason::Version("6.2.14".to_owned()))),
            ("7.0.15", "255.255.255", None),
        ];
        for (old, new, expected) in cases {
            assert_eq!(info(old, new).forbids_use(), expected, "{new}");
        }
    }

    #[test]
    fn of_several_servers_the_worst_one_counts_and_each_is_a_part_of_the_identity() {
        let one = || info("", "");
        let other = || info("aaaa", "cccc");
        let both = ServerInfo::of_all(vec![one(), other()]);
        assert_eq!(both, ServerInfo::of_all(vec![other(), one()]), "in any order");
        assert_eq!((both.forbids_use(), both.missing_protection()), (None, None));
        assert_eq!(both.identity.is_same(&ServerInfo::of_all(vec![one(), info("aaaa", "dddd")]).identity), Some(false));
        assert_eq!(both.identity.is_same(&one().identity), Some(false));
        for servers in [vec![one(), info("role:master", "role:slave")], vec![info("role:master", "role:slave"), one()]]
        {
            assert_eq!(ServerInfo::of_all(servers).forbids_use(), Some(Reason::Replica));
        }
        assert_eq!(
            ServerInfo::of_all(vec![one(), info("run_id:aaaa\r\n", "")]).missing_protection(),
            Some(Reason::NoRunId)
        );
        assert_eq!(ServerInfo::of_all(vec![one()]), one());
    }

    #[test]
    fn a_hidden_field_is_a_missing_protection() {
        assert_eq!(info("", "").missing_protection(), None);
        assert_eq!(info("run_id:aaaa\r\n", "").missing_protection(), Some(Reason::NoRunId));
        assert_eq!(info("run_id:aaaa", "run_id:").missing_protection(), Some(Reason::NoRunId));
        assert_eq!(info("maxmemory_policy:volatile-lru\r\n", "").missing_protection(), Some(Reason::NoEvictionPolicy));
        assert_eq!(ServerInfo::default().missing_protection(), Some(Reason::NoInfo));
        assert_eq!(ServerInfo::default().forbids_use(), None);
    }

    #[test]
    fn a_restart_and_a_promotion_change_the_identity() {
        let known = info("", "").identity;
        assert_eq!(known.is_same(&info("", "").identity), Some(true));
        assert_eq!(known.is_same(&info("aaaa", "cccc").identity), Some(false));
        assert_eq!(known.is_same(&info("bbbb", "cccc").identity), Some(false));
        assert_eq!(known.is_same(&info("master_replid:bbbb\r\n", "").identity), Some(true));
        assert_eq!(known.is_same(&info("run_id:aaaa\r\n", "").identity), None);
    }

    #[test]
    fn an_error_names_the_state_of_the_server() {
        let forbidden = |what: &str| Some(Reason::Forbidden(what.to_owned()));
        let cases = [
            ("READONLY You can't write against a read only replica.", Some(Reason::Replica)),
            ("LOADING Redis is loading the dataset in memory", Some(Reason::Loading)),
            ("MISCONF Redis is configured to save RDB snapshots, but", Some(Reason::SaveFailed)),
            ("NOREPLICAS Not enough good replicas to write.", Some(Reason::TooFewReplicas)),
            ("OOM command not allowed when used memory > 'maxmemory'.", Some(Reason::Full)),
            ("NOPERM this user has no permissions to run the 'get' command", forbidden("the command `get`")),
            ("NOPERM No permissions to access a key", forbidden("a key")),
            ("NOPERM No permissions to access a channel", forbidden("a channel")),
            ("ERR The user executing the script can't run this command or subcommand", forbidden("a command")),
            ("ERR The user executing the script can't access at least one of the keys", forbidden("a key")),
            ("ERR max number of clients reached", Some(Reason::TooManyClients)),
            (
                "ERR ACL failure in script: User default has no permissions to run the 'zadd' command script: 1",
                forbidden("the command `zadd`"),
            ),
            ("ERR ACL failure in script: No permissions to access a key script: 1", forbidden("a key")),
            ("BUSY Redis is busy running a script.", Some(Reason::Busy)),
            ("WRONGPASS invalid", Some(Reason::Login("WRONGPASS invalid".to_owned()))),
            (
                "DENIED Redis is running in protected mode",
                Some(Reason::Login("DENIED Redis is running in protected mode".to_owned())),
            ),
            (
                "ERR AUTH <password> called without any password configured",
                Some(Reason::Login("ERR AUTH <password> called without any password configured".to_owned())),
            ),
            ("NOSCRIPT No matching script.", None),
            ("ERR unknown command", None),
        ];
        for (error, expected) in cases {
            assert_eq!(classify_error(error), expected, "{error}");
        }
    }
}
