//! The limit of open files. Each connection is a file: without free files, a server can neither accept nor refuse a
//! client.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

/// Files that are not client connections: connections to the stores and to other services, refused connections, the
/// listener, the log, an index.
const OTHER_FILES: u64 = 256;

/// Raises the limit of open files as far as the process may. Returns how many of the `wanted` connections fit below the
/// limit, and logs a warning if not all do.
pub(super) fn connections_that_fit(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    // If this is refused, the limit stays unchanged.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let files = getrlimit(Resource::Nofile).current;
    let most = fit(wanted, files);
    if most < wanted {
        warn!(
            files,
            connections = most,
            "HTTP__MAX_CONNECTIONS={wanted} does not fit below the limit of open files (ulimit -n); fewer clients are accepted"
        );
    }
    most
}

fn fit(wanted: usize, files: Option<u64>) -> usize {
    let Some(files) = files else { return wanted };
    // A process with very few files keeps half of them for clients.
    let most = files.saturating_sub(OTHER_FILES).max(files / 2).max(1);
    wanted.min(usize::try_from(most).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_limit_leaves_room_for_other_files() {
        for (files, most) in
            [(None, 4096), (Some(20_000), 4096), (Some(4096), 3840), (Some(1024), 768), (Some(300), 150), (Some(1), 1)]
        {
            assert_eq!(fit(4096, files), most, "{files:?}");
        }
    }
}
