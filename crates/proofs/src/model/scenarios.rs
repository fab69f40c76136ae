//! The scenarios, each made for one race, and the defences that it needs.

use super::configuration::Promise::{Reads, Rest};
use super::configuration::{Configuration, Goal, PLAIN, Writes};
use super::defence::Defence::{
    AfterCommit, CheckedConnection, ClosedBeforeCommit, CollectionTags, Continuity, Counter, Distrust, DoneAfterwards,
    EmptiedFirst, Epoch, Fence, Floor, FreshMark, FreshReport, Generation, GuardCheck, GuardFirst, GuardFloor,
    GuardOutlasts, JoinRule, KillsLeases, Lease, LeaseFromBegin, LeaseId, LeaseTakeover, Leftovers, Margin, NoEviction,
    NoRenewal, NoScores, NoVersionCompare, OneQueue, OneStep, Outbox, OwnCopy, OwnGuard, QuietCommit, RecordComparison,
    RecoveryId, RecoveryPurge, RecoveryWait, Register, RegisterAge, Registration, RemovalAfterCommit,
    RemovalBeforeCommit, SentOnce, SnapshotBefore, SoftFence, SoftKillsLeases, TrustFromBegin, TrustedLease,
    VerifiedByPush,
};
use super::incarnation::{Goal as IncarnationGoal, IncarnationScenario};
use super::near::{Fault, Goal as NearGoal, NearScenario};

/// The scenarios of the near cache.
pub(super) fn of_memory(quick: bool) -> Vec<NearScenario> {
    use NearGoal::{NewAfter, NoneListed, OldBefore, Reconnected, Reported, WaitedFor};
    let plain =
        NearScenario { name: "", ticks: if quick { 4 } else { 6 }, own: false, fault: None, goals: &[], needs: &[] };
    vec![
        NearScenario {
            name: "an entry is in the memory of another process",
            goals: &[OldBefore, NewAfter, Reported, WaitedFor, NoneListed],
            needs: &[
                &[Counter],
                &[SnapshotBefore],
                &[Lease],
                &[LeaseFromBegin],
                &[OneQueue],
                &[Register],
                &[FreshReport],
            ],
            ..plain
        },
        NearScenario {
            name: "an entry is in the memory of the writer",
            own: true,
            goals: &[OldBefore, NewAfter, NoneListed],
            needs: &[&[OwnCopy]],
            ..plain
        },
        NearScenario {
            name: "Redis loses its data and what it tracks",
            fault: Some(Fault::Flush),
            goals: &[OldBefore, NewAfter, Reconnected],
            needs: &[&[Continuity], &[RegisterAge], &[Epoch]],
            ..plain
        },
        NearScenario {
            name: "Redis does not track the process any more",
            fault: Some(Fault::TrackingOff),
            goals: &[OldBefore, WaitedFor],
            needs: &[&[VerifiedByPush]],
            ..plain
        },
        NearScenario {
            name: "the tracked connection is lost",
            fault: Some(Fault::Cut),
            goals: &[OldBefore, NewAfter, Reconnected],
            needs: &[&[Epoch]],
            ..plain
        },
        NearScenario {
            name: "the clock of the process is slow",
            fault: Some(Fault::SlowClock),
            goals: &[OldBefore, NewAfter, WaitedFor],
            needs: &[&[Margin]],
            ..plain
        },
    ]
}

/// The scenarios of the trusted incarnation.
pub(super) fn of_incarnations(quick: bool) -> Vec<IncarnationScenario> {
    use IncarnationGoal::{NewAfter, OldBefore, Recovered, TakenBack, Unacknowledged};
    let plain = IncarnationScenario {
        name: "",
        ticks: if quick { 5 } else { 8 },
        recoveries: 1,
        writer: 0,
        goals: &[],
        needs: &[],
    };
    vec![
        IncarnationScenario {
            name: "a replica has missed an invalidation",
            goals: &[OldBefore, NewAfter, Recovered, Unacknowledged],
            needs: &[&[RecoveryWait], &[RecoveryPurge]],
            ..plain
        },
        IncarnationScenario {
            name: "a primary is cut off",
            writer: 1,
            goals: &[OldBefore, Recovered, Unacknowledged],
            needs: &[&[TrustedLease], &[TrustFromBegin], &[RecoveryWait]],
            ..plain
        },
        IncarnationScenario {
            name: "two sides of a network recover in turn",
            ticks: if quick { 4 } else { 6 },
            recoveries: 3,
            writer: 1,
            goals: &[OldBefore, NewAfter, Recovered, TakenBack],
            needs: &[&[RecordComparison], &[RecoveryId]],
        },
    ]
}

pub(super) fn all() -> Vec<Configuration> {
    let mut all = of_keys();
    all.extend(of_tags());
    all.extend(of_processes());
    all.extend(of_stale_entries());
    all.extend(of_guards());
    all
}

fn of_keys() -> Vec<Configuration> {
    vec![
        Configuration {
            name: "a key is invalidated",
            evictions: true,
            goals: &[Goal::LostToFault, Goal::Lost],
            needs: &[
                (&[LeaseId], Reads),
                (&[NoRenewal], Reads),
                (&[SentOnce], Reads),
                (&[KillsLeases], Reads),
                (&[AfterCommit], Reads),
            ],
            ..PLAIN
        },
        Configuration {
            name: "a loader dies",
            loader_dies: true,
            evictions: true,
            goals: &[Goal::StoredAfterDeath],
            needs: &[(&[LeaseId], Reads)],
            ..PLAIN
        },
        Configuration {
            name: "values are written through",
            writes: Writes::Through,
            evictions: true,
            goals: &[Goal::Published, Goal::NotPublished],
            needs: &[(&[LeaseTakeover], Rest), (&[NoVersionCompare], Reads)],
            ..PLAIN
        },
    ]
}

fn of_tags() -> Vec<Configuration> {
    vec![
        Configuration {
            name: "a tag is invalidated",
            writes: Writes::Tag,
            goals: &[Goal::Fenced],
            needs: &[
                (&[Fence], Reads),
                (&[Registration], Reads),
                (&[OneStep], Reads),
                (&[CollectionTags], Reads),
                (&[NoEviction], Reads),
            ],
            ..PLAIN
        },
        Configuration {
            name: "the fence table is lost",
            writes: Writes::Tag,
            table_loss: true,
            goals: &[Goal::Generation],
            needs: &[(&[Generation], Reads), (&[NoScores], Reads)],
            ..PLAIN
        },
        Configuration {
            name: "fences are folded",
            writes: Writes::Tag,
            folds: true,
            goals: &[Goal::Floor],
            needs: &[(&[Floor], Reads)],
            ..PLAIN
        },
        Configuration {
            name: "everything is lost",
            writes: Writes::Tag,
            flushes: true,
            goals: &[Goal::LostToFault],
            needs: &[(&[LeaseId, Generation], Reads)],
            ..PLAIN
        },
    ]
}

fn of_processes() -> Vec<Configuration> {
    vec![
        Configuration {
            name: "a drain is cut short",
            writes: Writes::Tag,
            crashes: true,
            goals: &[Goal::Leftovers, Goal::Relayed],
            needs: &[(&[Leftovers], Reads), (&[Outbox], Rest)],
            ..PLAIN
        },
        Configuration {
            name: "a writer dies after COMMIT, the relay too",
            crashes: true,
            relay_dies: true,
            goals: &[Goal::Relayed, Goal::RelayedAgain],
            needs: &[(&[Outbox], Rest), (&[DoneAfterwards], Rest)],
            ..PLAIN
        },
        Configuration {
            name: "readers share a load",
            writers: 1,
            joins: true,
            goals: &[Goal::JoinedBefore, Goal::JoinedDuring],
            needs: &[(&[JoinRule], Reads), (&[ClosedBeforeCommit], Reads)],
            ..PLAIN
        },
        Configuration {
            name: "Redis comes back with older data",
            readers: 2,
            writers: 1,
            old_data: true,
            goals: &[Goal::Disbelieved, Goal::Unchecked],
            needs: &[(&[Distrust], Reads), (&[EmptiedFirst], Reads), (&[CheckedConnection], Reads)],
            ..PLAIN
        },
        Configuration {
            name: "… while readers share a load",
            readers: 2,
            writers: 1,
            joins: true,
            old_data: true,
            goals: &[Goal::Unchecked, Goal::JoinedDuring],
            needs: &[(&[CheckedConnection], Reads), (&[QuietCommit], Reads), (&[JoinRule], Reads)],
            ..PLAIN
        },
    ]
}

fn of_guards() -> Vec<Configuration> {
    let guarded = Configuration { guards: true, filled: true, readers: 2, ..PLAIN };
    vec![
        Configuration {
            name: "a key is guarded from before COMMIT",
            goals: &[Goal::Guarded, Goal::Lost],
            needs: &[
                (&[GuardCheck], Reads),
                (&[GuardFirst], Reads),
                (&[RemovalBeforeCommit], Reads),
                (&[RemovalAfterCommit], Reads),
                (&[OwnGuard], Reads),
            ],
            ..guarded.clone()
        },
        Configuration {
            name: "a tag is guarded from before COMMIT",
            writes: Writes::Tag,
            goals: &[Goal::Guarded, Goal::Fenced],
            needs: &[(&[GuardCheck], Reads), (&[RemovalBeforeCommit], Reads), (&[RemovalAfterCommit], Reads)],
            ..guarded.clone()
        },
        Configuration {
            name: "a guarded writer dies after COMMIT",
            // One of them ends the guard, one stores the old value, and one reads it.
            readers: 3,
            writers: 1,
            crashes: true,
            goals: &[Goal::Guarded, Goal::Floor],
            needs: &[(&[GuardFloor], Reads), (&[GuardOutlasts], Reads)],
            ..guarded
        },
    ]
}

fn of_stale_entries() -> Vec<Configuration> {
    vec![
        Configuration {
            name: "a stale entry is refreshed",
            readers: 3,
            filled: true,
            ages: true,
            goals: &[Goal::Stale, Goal::Refreshed, Goal::Lost],
            needs: &[(&[LeaseId], Reads), (&[NoRenewal], Reads)],
            ..PLAIN
        },
        Configuration {
            name: "an entry is marked as stale",
            writes: Writes::SoftKey,
            filled: true,
            evictions: true,
            goals: &[Goal::Stale, Goal::Refreshed, Goal::Lost],
            needs: &[(&[FreshMark], Reads), (&[LeaseId], Reads), (&[SoftKillsLeases], Reads)],
            ..PLAIN
        },
        Configuration {
            name: "a tag is marked as stale",
            writes: Writes::SoftTag,
            goals: &[Goal::Stale, Goal::Refreshed, Goal::Fenced],
            needs: &[(&[SoftFence], Reads), (&[Registration], Reads)],
            ..PLAIN
        },
    ]
}
