//! The log of every operation, if the options ask for one.
//!
//! | file | one line for |
//! |---|---|
//! | `keys.csv` | each product: its `key` in the other two files, its subject, and its id in the service |
//! | `writes.csv` | each write, with or without a response |
//! | `reads.csv` | each product that a response showed, and each read without a usable response: its `source` is `failed` |
//!
//! Times are nanoseconds of the run's clock. The reads of one response have the same begin and session. The writes that
//! created the products came before the first of these operations.

use std::fs::{File, create_dir_all};
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context, Result};

use super::judge::Judgement;
use super::record::{Failed, Read, Seen, Write, Written};
use super::workload::Pattern;

/// Three open files of comma-separated values, or none.
#[derive(Debug, Default)]
pub struct Files(Option<Open>);

#[derive(Debug)]
struct Open {
    keys: BufWriter<File>,
    reads: BufWriter<File>,
    writes: BufWriter<File>,
}

impl Files {
    /// Creates the files in this folder; creates none without a folder.
    pub fn in_folder(folder: Option<&Path>) -> Result<Self> {
        let Some(folder) = folder else { return Ok(Self::default()) };
        create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let file = |name: &str, head: &str| -> Result<BufWriter<File>> {
            let mut file = BufWriter::new(File::create(folder.join(name))?);
            writeln!(file, "{head}")?;
            Ok(file)
        };
        let reads =
            "begin_ns,end_ns,key,session,node,pattern,source,kept,flagged,number,version,floor,stale_ns,anomaly";
        Ok(Self(Some(Open {
            keys: file("keys.csv", "key,id,subject")?,
            reads: file("reads.csv", reads)?,
            writes: file("writes.csv", "begin_ns,end_ns,key,session,node,source,number,version,acknowledged")?,
        })))
    }

    pub(super) fn key(&mut self, key: u32, id: u64, subject: &str) -> Result<()> {
        let Some(Open { keys, .. }) = &mut self.0 else { return Ok(()) };
        Ok(writeln!(keys, "{key},{id},\"{}\"", subject.replace('"', "\"\""))?)
    }

    pub(super) fn read(&mut self, read: &Read, pattern: Pattern, judgement: &Judgement) -> Result<()> {
        let Some(Open { reads, .. }) = &mut self.0 else { return Ok(()) };
        let Read { begin, end, key, session, node, source, kept, flagged, seen } = *read;
        let number = match seen {
            Seen::Write { number, .. } => number,
            Seen::Absent | Seen::Torn => 0,
        };
        let (pattern, version) = (pattern.name(), judgement.version.map(|it| it.to_string()).unwrap_or_default());
        let anomaly = judgement.anomaly.map(|anomaly| format!("{anomaly:?}")).unwrap_or_default();
        let (floor, stale) = (judgement.floor, judgement.stale_for);
        write!(reads, "{begin},{end},{key},{session},{node},{pattern},{source},{kept},{flagged},")?;
        Ok(writeln!(reads, "{number},{version},{floor},{stale},{anomaly}")?)
    }

    pub(super) fn failed(&mut self, failed: &Failed, pattern: Pattern) -> Result<()> {
        let Some(Open { reads, .. }) = &mut self.0 else { return Ok(()) };
        let Failed { begin, end, key, session, node } = failed;
        Ok(writeln!(reads, "{begin},{end},{key},{session},{node},{},failed,,,,,,,", pattern.name())?)
    }

    pub(super) fn writes(&mut self, all: &[Write]) -> Result<()> {
        let Some(Open { writes, .. }) = &mut self.0 else { return Ok(()) };
        for Write { begin, end, key, session, node, source, number, outcome } in all {
            let (version, acknowledged) = match outcome {
                Written::Acknowledged(version) => (version.to_string(), "yes"),
                Written::Deferred(version) => (version.to_string(), "deferred"),
                Written::Unknown => (String::new(), "unknown"),
            };
            writeln!(writes, "{begin},{end},{key},{session},{node},{source},{number},{version},{acknowledged}")?;
        }
        Ok(())
    }

    /// Flushes the buffers. Without this call, an error such as a full disk would be lost.
    pub(super) fn close(&mut self) -> Result<()> {
        let Some(open) = &mut self.0 else { return Ok(()) };
        for file in [&mut open.keys, &mut open.reads, &mut open.writes] {
            file.flush().context("the log of operations cannot be written")?;
        }
        Ok(())
    }
}
