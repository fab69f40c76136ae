//! The log of every operation, where one is asked for.

use std::fs::{File, create_dir_all};
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context, Result};

use super::judge::Judgement;
use super::record::{Read, Seen, Write, Written};

/// Two files of comma-separated values, or none.
#[derive(Debug, Default)]
pub struct Files(Option<(BufWriter<File>, BufWriter<File>)>);

impl Files {
    /// `reads.csv` and `writes.csv` in this folder; nothing without a folder.
    pub fn in_folder(folder: Option<&Path>) -> Result<Self> {
        let Some(folder) = folder else { return Ok(Self::default()) };
        create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let file = |name: &str, head: &str| -> Result<BufWriter<File>> {
            let mut file = BufWriter::new(File::create(folder.join(name))?);
            writeln!(file, "{head}")?;
            Ok(file)
        };
        let reads = "begin_ns,end_ns,key,session,node,source,kept,number,version,floor,stale_ns,fault";
        Ok(Self(Some((
            file("reads.csv", reads)?,
            file("writes.csv", "begin_ns,end_ns,key,number,version,acknowledged")?,
        ))))
    }

    pub(super) fn read(&mut self, read: &Read, judgement: &Judgement) -> Result<()> {
        let Some((reads, _)) = &mut self.0 else { return Ok(()) };
        let Read { begin, end, key, session, node, source, kept, seen } = *read;
        let number = match seen {
            Seen::Write { number, .. } => number,
            Seen::Absent | Seen::Torn => 0,
        };
        let version = judgement.version.map(|version| version.to_string()).unwrap_or_default();
        let fault = judgement.fault.map(|fault| format!("{fault:?}")).unwrap_or_default();
        let (floor, stale) = (judgement.floor, judgement.stale_for);
        writeln!(
            reads,
            "{begin},{end},{key},{session},{node},{source},{kept},{number},{version},{floor},{stale},{fault}"
        )?;
        Ok(())
    }

    pub(super) fn writes(&mut self, all: &[Write]) -> Result<()> {
        let Some((_, writes)) = &mut self.0 else { return Ok(()) };
        for Write { begin, end, key, number, outcome } in all {
            let (version, acknowledged) = match outcome {
                Written::Acknowledged(version) => (version.to_string(), "yes"),
                Written::Deferred(version) => (version.to_string(), "deferred"),
                Written::Unknown => (String::new(), "unknown"),
            };
            writeln!(writes, "{begin},{end},{key},{number},{version},{acknowledged}")?;
        }
        Ok(())
    }
}
