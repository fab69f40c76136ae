//! What can be taken out of the protocol.

/// One defence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Defence {
    /// A fill takes place only where the entry still holds the load's own lease, or the value that it refreshes.
    LeaseId,
    /// A lease that is gone is never treated as if it were still there.
    NoRenewal,
    /// Asking for the lease is sent once: nothing on the wire can take it again later.
    SentOnce,
    /// A fill is refused when the fence table is another one.
    Generation,
    /// A fill is refused when its tag was invalidated after its load had begun.
    Fence,
    /// Where single fences are forgotten, a floor stands for them.
    Floor,
    /// A value is registered in the set of its tag.
    Registration,
    /// … in the same step that stores it.
    OneStep,
    /// … also where it does not show the row yet: the list that the row will enter, the answer that there is none.
    CollectionTags,
    /// Tag sets are never evicted: they have no TTL, and the policy is `volatile-*` or `noeviction`.
    NoEviction,
    /// Members are removed whatever the clock was when they were registered.
    NoScores,
    /// The invalidation of a key removes leases, too.
    KillsLeases,
    /// The invalidation comes after COMMIT.
    AfterCommit,
    /// What a crashed drain has left is drained by the next one.
    Leftovers,
    /// A reader that joined during a load takes its value only if the commit has vouched for it.
    JoinRule,
    /// A flight cannot be joined once its COMMIT is sent.
    ClosedBeforeCommit,
    /// A commit vouches for nobody while this process has an invalidation pending.
    QuietCommit,
    /// Write-through takes the lease under the row lock, and stores under it.
    StolenLease,
    /// … and what it cannot store that way it does not compare by version, but removes.
    NoVersionCompare,
    /// The change and the note that it is to be announced are one transaction.
    Outbox,
    /// The relay ticks a change off when its invalidation is over, not when it begins.
    DoneAfterwards,
    /// A Redis that was restarted is noticed, and emptied (ADR 10).
    Distrust,
    /// … and not believed before it is empty.
    EmptiedFirst,
    /// What is answered over another connection than the one that was checked is not believed.
    CheckedConnection,
    /// A value that is marked as stale gets another id.
    FreshMark,
    /// To mark an entry as stale removes a lease that lies there.
    SoftKillsLeases,
    /// The soft invalidation of a tag fences it before it marks its entries.
    SoftFence,
}

/// What is left out; nothing, in the whole protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Without(pub(super) &'static [Defence]);

impl Without {
    pub(super) const NOTHING: Self = Self(&[]);

    pub(super) fn lacks(self, defence: Defence) -> bool {
        self.0.contains(&defence)
    }
}
