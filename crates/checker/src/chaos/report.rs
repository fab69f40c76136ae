//! The report of the run, for people and for programs. This process has counted every figure.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use testkit::private_system::Service;

/// The result of a run.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Writes that were acknowledged.
    pub writes: u32,
    /// Writes that were refused or got no response while a process was down.
    pub refused: u32,
    /// Kills, by victim.
    pub kills: Vec<(&'static str, u32)>,
    /// The duration of the writes.
    pub took: Duration,
    /// The time from the last fault until everything was relayed and applied.
    pub settled: Duration,
    /// Lines of carts that were found in the recommendation service.
    pub baskets: usize,
    /// Responses that were compared.
    pub compared: u32,
    /// How many of them came from the cache of each service, in the order of [`Service::ALL`].
    pub hits: [u32; 4],
    /// How many of these said that the object does not exist.
    pub absent: u32,
    /// What is wrong; empty if every check passed.
    pub wrong: Vec<String>,
}

impl Report {
    /// Adds violations for a run that proves nothing, for example because nothing was written or compared.
    pub(super) fn doubt(&mut self, wanted: u32) {
        if self.writes < wanted {
            self.wrong.push(format!("{} of {wanted} writes were acknowledged", self.writes));
        }
        if self.baskets == 0 {
            self.wrong.push("no cart has a line".to_owned());
        }
        if self.absent == 0 {
            self.wrong.push("no cache held that there is no such thing".to_owned());
        }
        let spared = self.kills.iter().filter(|(_, times)| *times == 0);
        self.wrong.extend(spared.map(|(victim, _)| format!("{victim} was never killed")));
        let empty = Service::ALL.into_iter().zip(self.hits).filter(|(_, hits)| *hits == 0);
        self.wrong.extend(empty.map(|(service, _)| format!("no answer came from the cache of {}", service.name())));
    }

    /// Writes `chaos-random.json` and `chaos-random.md`.
    pub(super) fn save(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        fs::write(folder.join("chaos-random.json"), serde_json::to_vec_pretty(self)?)?;
        let text = format!("# Writes while everything is killed at random\n\n```text\n{self}\n```\n");
        fs::write(folder.join("chaos-random.md"), text)?;
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "writes acknowledged  {} in {:.1} s", self.writes, self.took.as_secs_f64())?;
        writeln!(f, "refused, unanswered  {}", self.refused)?;
        let kills: Vec<_> = self.kills.iter().map(|(victim, times)| format!("{victim} {times}")).collect();
        writeln!(f, "kill -9              {}", kills.join(", "))?;
        writeln!(f, "settled after        {:.1} s", self.settled.as_secs_f64())?;
        writeln!(f, "lines of carts       {}, compared with what the recommendation knows", self.baskets)?;
        let hits = Service::ALL.iter().zip(self.hits).map(|(service, hits)| format!("{} {hits}", service.name()));
        let hits = hits.collect::<Vec<_>>().join(", ");
        writeln!(f, "answers compared     {}, of them from a cache: {hits}", self.compared)?;
        writeln!(f, "… that said absent   {}", self.absent)?;
        match self.wrong.as_slice() {
            [] => write!(f, "wrong                nothing"),
            wrong => write!(f, "wrong\n  {}", wrong.join("\n  ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chaos_run_that_proves_nothing_fails() {
        let mut report = Report { writes: 1, kills: vec![("redis", 0), ("cart", 1)], ..Report::default() };
        report.hits = [1, 1, 0, 1];
        report.doubt(2);
        let expected = [
            "1 of 2 writes were acknowledged",
            "no cart has a line",
            "no cache held that there is no such thing",
            "redis was never killed",
            "no answer came from the cache of search",
        ];
        assert_eq!(report.wrong, expected);
    }
}
