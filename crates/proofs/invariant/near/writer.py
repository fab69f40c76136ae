"""The near cache: a write, its invalidation, and the wait for the holders of leases."""

from __future__ import annotations

import z3
from z3 import And, Not, Or

from near.state import Getting, Process, Write, Writing, longest
from system import After, State, System


def add_writes(system: System, without: str | None) -> None:
    """A write, its invalidation, and the wait for the holders of leases.

    A write that takes no further step after its removal stands for everything else that changes or removes the key.
    """

    @system.step(Write)
    def COMMIT(s: State, after: After, w: z3.ExprRef) -> None:
        k = s.written_key(w)
        after.require(s.writing(w) == Writing.NEW)
        after.committed[k] = s.committed(k) + 1
        after.written[w] = s.committed(k) + 1
        after.writing[w] = Writing.COMMITTED

    @system.step(Write)
    def UNLINK(s: State, after: After, w: z3.ExprRef) -> None:
        """Redis removes the entry and sends a push to every process for which it tracks the key."""
        k = s.written_key(w)
        after.require(s.writing(w) == Writing.COMMITTED)
        after.writing[w] = Writing.REMOVED
        is_pushed = lambda p: And(s.is_connected(p), s.tracks(p, k))
        after.has_pushed.becomes(lambda w2, p: z3.If(w2 == w, is_pushed(p), s.has_pushed(w2, p)))
        after.push_at.becomes(lambda w2, p: z3.If(w2 == w, s.sent(p), s.push_at(w2, p)))
        after.sent.becomes(lambda p: s.sent(p) + z3.If(is_pushed(p), 1, 0))
        after.tracks.becomes(lambda p, k2: And(k2 != k, s.tracks(p, k2)))
        # For the invariant.
        after.removed_at.becomes(lambda w2, p: z3.If(w2 == w, s.clock(p), s.removed_at(w2, p)))
        is_executed = lambda g: And(s.getting(g) >= Getting.EXECUTED, s.read_key(g) == k)
        is_new = lambda g: And(is_executed(g), Not(s.is_told(g)), Not(s.is_lost(g)), is_pushed(s.reader(g)))
        after.is_told.becomes(lambda g: Or(s.is_told(g), is_new(g)))
        after.told_by.becomes(lambda g: z3.If(is_new(g), w, s.told_by(g)))

    @system.step(Write)
    def list_holders(s: State, after: After, w: z3.ExprRef) -> None:
        """list_holders.lua: a register that is missing begins now, and names no process."""
        after.require(s.writing(w) == Writing.REMOVED)
        after.writing[w] = Writing.LISTED
        since = z3.If(s.has_register(), s.register_since(), s.now())
        after.has_register.becomes(z3.BoolVal(True))
        after.register_since.becomes(since)
        listed = lambda p: And(s.has_register(), s.is_registered(p), s.registered_until(p) > s.now())
        after.is_listed.becomes(lambda w2, p: z3.If(w2 == w, listed(p), s.is_listed(w2, p)))
        rest = since + longest(without) - s.now()
        after.unknown_for[w] = z3.RealVal(0) if without == "RegisterAge" else z3.If(rest > 0, rest, 0)
        # For the invariant.
        after.listed_at[w] = s.now()
        after.listed_since[w] = since

    @system.step(Write, Process)
    def wait(s: State, after: After, w: z3.ExprRef, forgotten: z3.ExprRef) -> None:
        """The writer has received the list, and drops its own copy."""
        p = s.writer(w)
        after.require(s.writing(w) == Writing.LISTED)
        after.writing[w] = Writing.WAITING
        after.waits_since[w] = s.clock(p)
        if without != "OwnCopy":
            slot = s.slot(s.written_key(w))
            after.count[p, slot] = s.count(p, slot) + 1
        after.is_listed[w, p] = False
        if without == "EveryHolder":
            after.is_listed[w, forgotten] = False

    @system.optional(Write, Process)
    def ask(s: State, after: After, w: z3.ExprRef, p: z3.ExprRef) -> None:
        """The request of the writer reaches a process."""
        after.require(s.writing(w) == Writing.WAITING)
        after.is_asked[p, w] = True

    @system.step(Write)
    def acknowledge(s: State, after: After, w: z3.ExprRef) -> None:
        """Every listed process has reported, or the longest lease is over; and so is that of unknown processes."""
        waited = s.clock(s.writer(w)) - s.waits_since(w)
        after.require(s.writing(w) == Writing.WAITING)
        if without != "Acknowledgement":
            is_over = waited >= longest(without)
            is_done = lambda p: Or(Not(s.is_listed(w, p)), s.has_reported(p, w), is_over)
            after.require(waited >= s.unknown_for(w), s.every(Process, is_done))
        after.writing[w] = Writing.ACKNOWLEDGED
