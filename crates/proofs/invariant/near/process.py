"""The near cache: what a process does, what can fail, and how time passes."""

from __future__ import annotations

import z3
from z3 import And, Implies, Not, Or

from near.state import BOUND, FASTEST, SLOWEST, Barrier, Get, Getting, Process, Write, Writing, longest
from system import After, Formula, Int, PerElement, Real, State, System


def add_reads(system: System, without: str | None) -> None:
    """Reads over the tracked connection. A hit from memory changes nothing, so it is no step: see the promise."""

    def take_snapshot(s: State, after: After, g: z3.ExprRef) -> None:
        after.snapshot_count[g] = s.count(s.reader(g), s.slot(s.read_key(g)))
        after.snapshot_epoch[g] = s.epoch(s.reader(g))

    @system.step(Get)
    def send_GET(s: State, after: After, g: z3.ExprRef) -> None:
        after.require(s.getting(g) == Getting.NEW)
        take_snapshot(s, after, g)
        after.getting[g] = Getting.SENT

    @system.step(Get, Int)
    def execute_GET(s: State, after: After, g: z3.ExprRef, version: z3.ExprRef) -> None:
        """Redis returns a version that is not older than any that it was told to remove, and tracks the key."""
        p, k = s.reader(g), s.read_key(g)
        after.require(s.getting(g) == Getting.SENT, s.is_connected(p))
        is_removed = lambda w: And(s.writing(w) >= Writing.REMOVED, s.written_key(w) == k)
        after.require(s.every(Write, lambda w: Implies(is_removed(w), version >= s.written(w))))
        after.require(version <= s.committed(k))
        after.version[g] = version
        after.reply_at[g] = s.sent(p)
        after.sent[p] = s.sent(p) + 1
        after.tracks[p, k] = s.is_tracking(p)
        after.getting[g] = Getting.EXECUTED
        # For the invariant.
        after.is_told[g] = False
        after.is_lost[g] = Not(s.is_tracking(p))

    @system.step(Get)
    def receive_reply(s: State, after: After, g: z3.ExprRef) -> None:
        p = s.reader(g)
        after.require(s.getting(g) == Getting.EXECUTED, s.reply_at(g) == s.applied(p))
        after.applied[p] = s.applied(p) + 1
        after.getting[g] = Getting.RECEIVED

    if without == "SnapshotBefore":

        @system.step(Get)
        def keep(s: State, after: After, g: z3.ExprRef) -> None:
            after.require(s.getting(g) == Getting.RECEIVED)
            take_snapshot(s, after, g)
            after.getting[g] = Getting.KEPT

    @system.optional(Write, Process)
    def receive_push(s: State, after: After, w: z3.ExprRef, p: z3.ExprRef) -> None:
        slot = s.slot(s.written_key(w))
        after.require(s.has_pushed(w, p), s.push_at(w, p) == s.applied(p))
        after.applied[p] = s.applied(p) + 1
        after.count[p, slot] = s.count(p, slot) + 1


def add_barriers(system: System, without: str | None) -> None:
    """The barrier, which renews the lease, and the report to the writers that have asked for it."""

    @system.step(Process)
    def begin_barrier(s: State, after: After, p: z3.ExprRef) -> None:
        after.require(s.barrier(p) == Barrier.NONE)
        after.barrier[p] = Barrier.SENT
        after.began[p] = s.clock(p)
        after.answers.becomes(lambda p2, w: z3.If(p2 == p, s.is_asked(p, w), s.answers(p2, w)))
        after.is_asked.becomes(lambda p2, w: And(p2 != p, s.is_asked(p2, w)))

    @system.step(Process)
    def execute_barrier(s: State, after: After, p: z3.ExprRef) -> None:
        """Redis reads and writes the sentinel, and registers the process."""
        after.require(s.barrier(p) == Barrier.SENT, s.is_connected(p))
        after.barrier[p] = Barrier.EXECUTED
        after.is_continuous[p] = s.has_sentinel(p)
        after.is_pushed[p] = s.is_tracking(p)
        after.has_sentinel[p] = True
        after.barrier_at[p] = s.sent(p)
        after.sent[p] = s.sent(p) + 1
        after.executed_at[p] = s.now()
        if without != "Register":
            after.register_since.becomes(z3.If(s.has_register(), s.register_since(), s.now()))
            after.has_register.becomes(z3.BoolVal(True))
            after.is_registered[p] = True
            after.registered_until[p] = s.now() + longest(without)

    @system.step(Process)
    def verify_barrier(s: State, after: After, p: z3.ExprRef) -> None:
        """The replies and the push of the barrier have arrived, and the number before it was still there."""
        after.require(s.barrier(p) == Barrier.EXECUTED)
        if without == "OneQueue":
            after.require(s.barrier_at(p) >= s.applied(p))
        else:
            after.require(s.barrier_at(p) == s.applied(p))
            after.applied[p] = s.applied(p) + 1
        if without != "Continuity":
            after.require(s.is_continuous(p))
        if without != "VerifiedByPush":
            after.require(s.is_pushed(p))
        after.barrier[p] = Barrier.NONE
        after.lease_until[p] = BOUND + (s.clock(p) if without == "LeaseFromBegin" else s.began(p))
        is_asked = lambda w: Or(s.answers(p, w), And(without == "FreshReport", s.is_asked(p, w)))
        reports = lambda p2, w: And(p2 == p, is_asked(w))
        after.has_reported.becomes(lambda p2, w: Or(reports(p2, w), s.has_reported(p2, w)))

    @system.optional(Process)
    def reconnect(s: State, after: After, p: z3.ExprRef) -> None:
        """The process gives up its connection, for any reason: a barrier that failed, an error, another server."""
        after.lease_until[p] = s.clock(p)
        if without != "Epoch":
            after.epoch[p] = s.epoch(p) + 1
        after.barrier[p] = Barrier.NONE
        after.applied[p] = s.sent(p)
        after.is_connected[p] = True
        after.is_tracking[p] = True
        after.has_sentinel[p] = True
        after.tracks.becomes(lambda p2, k: And(p2 != p, s.tracks(p2, k)))
        after.is_asked.becomes(lambda p2, w: And(p2 != p, s.is_asked(p2, w)))


def add_faults(system: System) -> None:
    """Faults, and the passage of time. A process that is frozen or ended takes no step."""

    def lose_tracking(s: State, after: After, of: Formula) -> None:
        """Redis does not track anything any more for some processes. What it has pushed before is on the line."""
        after.tracks.becomes(lambda p, k: And(Not(of(p)), s.tracks(p, k)))
        is_new = lambda g: And(s.getting(g) >= Getting.EXECUTED, Not(s.is_told(g)), of(s.reader(g)))
        after.is_lost.becomes(lambda g: Or(s.is_lost(g), is_new(g)))

    @system.optional()
    def FLUSHALL(s: State, after: After) -> None:
        """Entries, sentinels and register are gone, and with them what Redis tracks. No push arrives."""
        lose_tracking(s, after, lambda p: z3.BoolVal(True))
        after.has_sentinel.becomes(lambda p: z3.BoolVal(False))
        after.has_register.becomes(z3.BoolVal(False))
        after.is_registered.becomes(lambda p: z3.BoolVal(False))

    @system.optional()
    def lose_the_register(s: State, after: After) -> None:
        after.has_register.becomes(z3.BoolVal(False))
        after.is_registered.becomes(lambda p: z3.BoolVal(False))

    @system.optional(Process)
    def lose_tracking_of(s: State, after: After, p: z3.ExprRef) -> None:
        lose_tracking(s, after, lambda p2: p2 == p)
        after.is_tracking[p] = False

    @system.optional(Process)
    def lose_connection_of(s: State, after: After, p: z3.ExprRef) -> None:
        """What is on the line may still arrive, up to the moment at which the process reconnects."""
        lose_tracking(s, after, lambda p2: p2 == p)
        after.is_connected[p] = False

    @system.optional(Real, PerElement(Process, Real))
    def pass_time(s: State, after: After, time: z3.ExprRef, advance: z3.FuncDeclRef) -> None:
        is_possible = lambda p: And(SLOWEST * time <= advance(p), advance(p) <= FASTEST * time)
        after.require(time > 0, s.every(Process, is_possible))
        after.now.becomes(s.now() + time)
        after.clock.becomes(lambda p: s.clock(p) + advance(p))
