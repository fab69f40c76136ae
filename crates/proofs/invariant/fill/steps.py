"""The steps of writes, loads and reads of one entry per key."""

from __future__ import annotations

import z3
from z3 import And, Not, Or

from fill.state import Id, Key, Kind, Load, Loading, Read, Reading, Write, Writing
from system import After, State, System


def add_writes(system: System, without: str | None) -> None:
    """Writes, invalidations and what else removes entries."""
    is_early = without == "AfterCommit"

    @system.step(Write)
    def COMMIT(s: State, after: After, w: z3.ExprRef) -> None:
        """Under the row lock. The version grows by one."""
        k = s.written_key(w)
        after.require(s.writing(w) == (Writing.COMMITTED if is_early else Writing.NEW))
        after.committed[k] = s.committed(k) + 1
        after.written[w] = s.committed(k) + 1
        after.writing[w] = Writing.INVALIDATED if is_early else Writing.COMMITTED

    @system.step(Write)
    def UNLINK(s: State, after: After, w: z3.ExprRef) -> None:
        """Removes the value or the lease."""
        k = s.written_key(w)
        after.require(s.writing(w) == (Writing.NEW if is_early else Writing.COMMITTED))
        spared = And(without == "KillsLeases", s.kind(k) == Kind.LEASE)
        after.kind[k] = z3.If(spared, s.kind(k), Kind.NOTHING)
        after.writing[w] = Writing.COMMITTED if is_early else Writing.INVALIDATED

    @system.step(Write)
    def acknowledge(s: State, after: After, w: z3.ExprRef) -> None:
        is_done = s.writing(w) == Writing.INVALIDATED
        after.require(Or(is_done, s.writing(w) == Writing.COMMITTED) if without == "Acknowledgement" else is_done)
        after.writing[w] = Writing.ACKNOWLEDGED

    @system.optional(Key)
    def disappear(s: State, after: After, k: z3.ExprRef) -> None:
        """A lease or a value expires, is evicted, is released, or is removed by the relay or by a tag."""
        after.kind[k] = Kind.NOTHING

    @system.optional()
    def FLUSHALL(s: State, after: After) -> None:
        after.kind.becomes(lambda k: z3.IntVal(Kind.NOTHING))


def add_loads(system: System, without: str | None) -> None:
    """The lease, the snapshot and the commit of a load."""
    is_late = without == "LeaseFirst"
    before_lease, after_lease = (Loading.GRANTED, Loading.LOADED) if is_late else (Loading.NEW, Loading.GRANTED)
    before_load, after_load = (Loading.NEW, Loading.GRANTED) if is_late else (Loading.GRANTED, Loading.LOADED)

    @system.step(Load, Id)
    def acquire(s: State, after: After, l: z3.ExprRef, fresh: z3.ExprRef) -> None:
        """acquire.lua: sets the lease of an absent entry."""
        k = s.loaded_key(l)
        lease = s.id_of_process(s.process(l)) if without == "LeasePerLoad" else fresh
        after.require(s.loading(l) == before_lease, s.kind(k) == Kind.NOTHING)
        if without != "LeasePerLoad":
            after.require(Not(s.is_used(lease)))
        after.is_used[lease] = True
        after.kind[k] = Kind.LEASE
        after.id[k] = lease
        after.expected[l] = lease
        after.loading[l] = after_lease

    @system.optional(Load)
    def refresh(s: State, after: After, l: z3.ExprRef) -> None:
        """refresh.lua: the load may replace this value."""
        k = s.loaded_key(l)
        after.require(s.loading(l) == before_lease, s.kind(k) == Kind.VALUE)
        after.expected[l] = s.id(k)
        after.loading[l] = after_lease

    @system.step(Load)
    def snapshot(s: State, after: After, l: z3.ExprRef) -> None:
        """The loader reads the row."""
        after.require(s.loading(l) == before_load)
        after.loaded[l] = s.committed(s.loaded_key(l))
        after.loading[l] = after_load

    @system.step(Load, Id)
    def commit(s: State, after: After, l: z3.ExprRef, fresh: z3.ExprRef) -> None:
        """commit.lua: stores the value if Redis still holds what the load expects."""
        k = s.loaded_key(l)
        after.require(s.loading(l) == Loading.LOADED, Not(s.is_used(fresh)))
        if without != "LeaseId":
            after.require(s.kind(k) != Kind.NOTHING, s.id(k) == s.expected(l))
        after.is_used[fresh] = True
        after.kind[k] = Kind.VALUE
        after.id[k] = fresh
        after.version[k] = s.loaded(l)
        after.loading[l] = Loading.STORED

    @system.step(Load)
    def refuse(s: State, after: After, l: z3.ExprRef) -> None:
        """The value is not stored, for any reason. `disappear` removes the lease of such a load."""
        after.require(s.loading(l) == Loading.LOADED)
        after.loading[l] = Loading.REFUSED

    if without == "SentOnce":

        @system.step(Load)
        def acquire_again(s: State, after: After, l: z3.ExprRef) -> None:
            k = s.loaded_key(l)
            after.require(s.loading(l) >= Loading.GRANTED, s.kind(k) == Kind.NOTHING)
            after.kind[k] = Kind.LEASE
            after.id[k] = s.expected(l)


def add_reads(system: System, without: str | None) -> None:
    """Hits, loads of a read's own, and reads that wait for a load."""

    @system.step(Read)
    def begin(s: State, after: After, r: z3.ExprRef) -> None:
        after.require(s.reading(r) == Reading.NEW)
        acknowledged = lambda w: And(s.writing(w) == Writing.ACKNOWLEDGED, s.written_key(w) == s.read_key(r))
        after.follows.becomes(lambda r2, w: z3.If(r2 == r, acknowledged(w), s.follows(r2, w)))
        after.reading[r] = Reading.BEGUN

    @system.step(Read)
    def hit(s: State, after: After, r: z3.ExprRef) -> None:
        after.require(s.reading(r) == Reading.BEGUN, s.kind(s.read_key(r)) == Kind.VALUE)
        after.returned[r] = s.version(s.read_key(r))
        after.reading[r] = Reading.DONE

    @system.step(Read)
    def bypass(s: State, after: After, r: z3.ExprRef) -> None:
        """The read queries the database and stores nothing."""
        after.require(s.reading(r) == Reading.BEGUN)
        after.returned[r] = s.committed(s.read_key(r))
        after.reading[r] = Reading.DONE

    @system.step(Read, Load)
    def join(s: State, after: After, r: z3.ExprRef, l: z3.ExprRef) -> None:
        """The read waits for a load in flight, its own included."""
        after.require(s.reading(r) == Reading.BEGUN, s.loaded_key(l) == s.read_key(r))
        after.require(s.loading(l) <= (Loading.STORED if without == "ClosedBeforeCommit" else Loading.LOADED))
        after.joined[r] = l
        after.is_late[r] = s.loading(l) >= Loading.LOADED
        after.reading[r] = Reading.JOINED

    @system.step(Read)
    def take(s: State, after: After, r: z3.ExprRef) -> None:
        """The load has ended, and its value is new enough for the read."""
        l = s.joined(r)
        after.require(s.reading(r) == Reading.JOINED, s.loading(l) >= Loading.STORED)
        if without != "JoinRule":
            after.require(Or(Not(s.is_late(r)), s.loading(l) == Loading.STORED))
        after.returned[r] = s.loaded(l)
        after.reading[r] = Reading.DONE

    @system.step(Read)
    def try_again(s: State, after: After, r: z3.ExprRef) -> None:
        after.require(s.reading(r) == Reading.JOINED)
        after.reading[r] = Reading.BEGUN
