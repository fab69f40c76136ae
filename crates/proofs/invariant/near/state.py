"""What the state of the near cache consists of."""

from __future__ import annotations

from enum import IntEnum

import z3
from z3 import And, Or

from system import Bool, Formula, Int, Real, State

Process, Key, Slot, Write, Get = map(z3.DeclareSort, ("Process", "Key", "Slot", "Write", "Get"))

# The longest lease is the unit of time.
BOUND = z3.RealVal(1)
# How far a clock of a process advances, at least and at most, while that of Redis advances by 1.
SLOWEST, FASTEST = z3.Q(20, 21), z3.Q(22, 21)
# The time that is added to the bound where two clocks measure it, as a part of the bound.
MARGIN = z3.Q(1, 10)


class Writing(IntEnum):
    """How far a write is: Redis has removed the entry, Redis has listed the holders, the writer waits for them."""

    NEW = 0
    COMMITTED = 1
    REMOVED = 2
    LISTED = 3
    WAITING = 4
    ACKNOWLEDGED = 5


class Getting(IntEnum):
    """How far a read over the tracked connection is. When it is received, its entry may be in memory."""

    NEW = 0
    SENT = 1
    EXECUTED = 2
    RECEIVED = 3
    KEPT = 4  # Only without `SnapshotBefore`: then the snapshot is taken in a step of its own.


class Barrier(IntEnum):
    """How far the barrier of a process is."""

    NONE = 0
    SENT = 1
    EXECUTED = 2


SYMBOLS = {
    "now": (Real,),
    "committed": (Key, Int),
    "slot": (Key, Slot),
    # Redis: what it tracks for the connection of a process, whether it still has the sentinel, and the register.
    "is_tracking": (Process, Bool),
    "tracks": (Process, Key, Bool),
    "has_sentinel": (Process, Bool),
    "has_register": (Bool,),
    "register_since": (Real,),
    "is_registered": (Process, Bool),
    "registered_until": (Process, Real),
    # The line to a process.
    "is_connected": (Process, Bool),
    "sent": (Process, Int),
    "applied": (Process, Int),
    # A process.
    "clock": (Process, Real),
    "lease_until": (Process, Real),
    "epoch": (Process, Int),
    "count": (Process, Slot, Int),
    # Its barrier: when it began, its place on the line, what it has shown, and the writes to which it is reported.
    "barrier": (Process, Int),
    "began": (Process, Real),
    "barrier_at": (Process, Int),
    "is_continuous": (Process, Bool),
    "is_pushed": (Process, Bool),
    "is_asked": (Process, Write, Bool),
    "answers": (Process, Write, Bool),
    "has_reported": (Process, Write, Bool),
    # Reads over the tracked connection: the snapshot, the version, and the place of the reply on the line.
    "reader": (Get, Process),
    "read_key": (Get, Key),
    "getting": (Get, Int),
    "snapshot_count": (Get, Int),
    "snapshot_epoch": (Get, Int),
    "version": (Get, Int),
    "reply_at": (Get, Int),
    # Writes: the place of the push that the removal has caused, the listed holders, and how long the writer waits.
    "writer": (Write, Process),
    "written_key": (Write, Key),
    "writing": (Write, Int),
    "written": (Write, Int),
    "has_pushed": (Write, Process, Bool),
    "push_at": (Write, Process, Int),
    "is_listed": (Write, Process, Bool),
    "unknown_for": (Write, Real),
    "waits_since": (Write, Real),
}

# For the invariant only: moments, and what has become of the tracking of a read.
AUXILIARY = {
    "executed_at": (Process, Real),
    "removed_at": (Write, Process, Real),
    "listed_at": (Write, Real),
    "listed_since": (Write, Real),
    "is_told": (Get, Bool),
    "told_by": (Get, Write),
    "is_lost": (Get, Bool),
}


def longest(without: str | None) -> z3.ExprRef:
    """Returns the longest lease, measured by another clock."""
    return BOUND if without == "Margin" else BOUND * (1 + MARGIN)


def has_valid_snapshot(s: State, g: z3.ExprRef, without: str | None = None) -> Formula:
    """Returns that neither the counter nor the epoch has changed since the snapshot of the read."""
    p = s.reader(g)
    return And(
        Or(without == "Epoch", s.snapshot_epoch(g) == s.epoch(p)),
        Or(without == "Counter", s.snapshot_count(g) == s.count(p, s.slot(s.read_key(g)))),
    )


def may_be_returned(s: State, g: z3.ExprRef, without: str | None = None) -> Formula:
    """Returns that the process may return the entry from its memory now."""
    has_lease = Or(without == "Lease", s.clock(s.reader(g)) < s.lease_until(s.reader(g)))
    is_in_memory = s.getting(g) == (Getting.KEPT if without == "SnapshotBefore" else Getting.RECEIVED)
    return And(is_in_memory, has_lease, has_valid_snapshot(s, g, without))


def is_older(s: State, g: z3.ExprRef, w: z3.ExprRef) -> Formula:
    """Returns that the read returned what the write has replaced."""
    return And(s.read_key(g) == s.written_key(w), s.version(g) < s.written(w))
