//! The defences of the protocol, which the model can remove.

/// A defence of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Defence {
    /// A fill is stored only if the entry still holds the load's own lease, or the value that it refreshes.
    LeaseId,
    /// A lease that is gone is never treated as if it still existed.
    NoRenewal,
    /// The request for the lease is sent only once, so no copy of it can take the lease again later.
    SentOnce,
    /// A fill is refused when the fence table has another generation.
    Generation,
    /// A fill is refused when its tag was invalidated after its load had begun.
    Fence,
    /// When single fences are dropped, a floor takes their place.
    Floor,
    /// A value is registered in the set of its tag.
    Registration,
    /// … in the same step that stores the value.
    OneStep,
    /// … also if it does not show the row yet, such as the list that the row will enter, or a "not found".
    CollectionTags,
    /// Tag sets are never evicted: they have no TTL, and the policy is `volatile-*` or `noeviction`.
    NoEviction,
    /// An invalidation removes every member of a tag set, regardless of the clock at which it was registered.
    NoScores,
    /// The invalidation of a key also removes a lease.
    KillsLeases,
    /// The invalidation comes after COMMIT.
    AfterCommit,
    /// The members that a crashed drain has left are drained by the next one.
    Leftovers,
    /// A reader that joined during a load takes its value only if the commit proves that the value is current.
    JoinRule,
    /// Readers cannot join a load once its COMMIT is sent.
    ClosedBeforeCommit,
    /// While a process has a pending invalidation, none of its commits proves that a value is current.
    QuietCommit,
    /// Write-through takes the lease while it holds the row lock, and stores under this lease.
    LeaseTakeover,
    /// … and a value that it cannot store in this way is not compared by version: the entry is removed.
    NoVersionCompare,
    /// The change and its outbox row are committed in one transaction.
    Outbox,
    /// The relay marks a change as done when its invalidation is over, not when it begins.
    DoneAfterwards,
    /// A process detects that Redis was restarted, and empties it (ADR 10).
    Distrust,
    /// … and does not trust its entries before it is empty.
    EmptiedFirst,
    /// A reply over a connection other than the verified one is not trusted.
    CheckedConnection,
    /// A value that is marked as stale gets another id.
    FreshMark,
    /// Marking an entry as stale removes a lease.
    SoftKillsLeases,
    /// The soft invalidation of a tag raises its fence before it marks its entries.
    SoftFence,
    /// An entry in memory is valid only while the counter of its slot is unchanged.
    Counter,
    /// … compared with the counter before the entry was read.
    SnapshotBefore,
    /// … and only while the epoch is unchanged, which grows with each connection.
    Epoch,
    /// … and only while the process holds a lease.
    Lease,
    /// A lease is measured from the start of its barrier, not from the end of it.
    LeaseFromBegin,
    /// A barrier is valid only if Redis still has the number of the previous barrier.
    Continuity,
    /// … and only if its push has arrived.
    VerifiedByPush,
    /// Pushes and replies are processed in the order in which Redis sent them.
    OneQueue,
    /// A barrier registers its process.
    Register,
    /// After the register was lost, it is trusted again only when the longest lease is over.
    RegisterAge,
    /// A process reports only a barrier that began after the request.
    FreshReport,
    /// A writer waits a little longer than a lease, because clocks run at different rates.
    Margin,
    /// A writer drops its own copy.
    OwnCopy,
    /// A server is used only during a lease that the record of the trusted incarnation grants.
    TrustedLease,
    /// This lease is measured from before the record is read.
    TrustFromBegin,
    /// After a server was replaced, the next one is used when no lease on the first one can last any longer.
    RecoveryWait,
    /// … and after its entries were removed.
    RecoveryPurge,
    /// The record is replaced only if it is the one that was read.
    RecordComparison,
    /// The wait of a recovery counts only for the record that began it.
    RecoveryId,
    /// A fill is refused while a write guard is in place.
    GuardCheck,
    /// A guard is placed before the entries are removed.
    GuardFirst,
    /// … which happens before COMMIT.
    RemovalBeforeCommit,
    /// … and once more after COMMIT, before the guard is released.
    RemovalAfterCommit,
    /// A release removes only the writer's own guard.
    OwnGuard,
    /// A guard ends only when its transaction cannot be committed any more.
    GuardOutlasts,
    /// A guard that has ended refuses the loads that began before its end.
    GuardFloor,
}

/// The defences that the model leaves out. The complete protocol leaves out none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Without(pub &'static [Defence]);

impl Without {
    pub(super) const NOTHING: Self = Self(&[]);

    pub(super) fn lacks(self, defence: Defence) -> bool {
        self.0.contains(&defence)
    }
}
