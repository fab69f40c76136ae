"""The steps of writes, faults, loads and reads of entries with tags."""

from __future__ import annotations

import z3
from z3 import And, Not, Or

from system import After, Formula, State, System
from tags.state import Generation, Key, Kind, Load, Loading, Read, Reading, Tag, Write, Writing, holds_value


def generation_of_table(s: State, after: After, fresh: z3.ExprRef) -> z3.ExprRef:
    """Returns the generation of the fence table. Without a table, a new one begins with a fresh generation."""
    after.require(Not(s.is_used(fresh)))
    generation = z3.If(s.has_table(), s.generation(), fresh)
    after.has_table.becomes(z3.BoolVal(True))
    after.generation.becomes(generation)
    after.is_used[generation] = True
    return generation


def lose_table(after: After) -> None:
    """The fence table is gone. What is missing counts as 0."""
    after.has_table.becomes(z3.BoolVal(False))
    after.clock.becomes(z3.IntVal(0))
    after.floor.becomes(z3.IntVal(0))
    after.fence.becomes(lambda t: z3.IntVal(0))


def add_writes(system: System, without: str | None) -> None:
    """Writes and their invalidations. A process that ends takes no further step, and its write is not acknowledged."""
    is_late = without == "FenceFirst"

    @system.step(Write)
    def COMMIT(s: State, after: After, w: z3.ExprRef) -> None:
        t = s.written_tag(w)
        after.require(s.writing(w) == Writing.NEW)
        after.committed[t] = s.committed(t) + 1
        after.written[w] = s.committed(t) + 1
        after.writing[w] = Writing.COMMITTED

    def raise_fence(s: State, after: After, w: z3.ExprRef, fresh: z3.ExprRef) -> z3.ExprRef:
        """Returns the new clock."""
        after.require(s.writing(w) == (Writing.DRAINING if is_late else Writing.COMMITTED))
        clock, generation = s.clock() + 1, generation_of_table(s, after, fresh)
        after.clock.becomes(clock)
        after.fenced_in[w] = generation
        after.fenced_at[w] = clock
        after.writing[w] = Writing.ACKNOWLEDGED if is_late else Writing.FENCED
        return clock

    @system.step(Write, Generation)
    def fence(s: State, after: After, w: z3.ExprRef, fresh: z3.ExprRef) -> None:
        """invalidate_tag.lua, `begin`."""
        clock = raise_fence(s, after, w, fresh)
        if is_late:
            after.require(s.every(Key, lambda k: Not(s.emptying(s.written_tag(w), k))))
        after.fence[s.written_tag(w)] = clock

    @system.optional(Write, Generation)
    def fence_and_fold(s: State, after: After, w: z3.ExprRef, fresh: z3.ExprRef) -> None:
        """invalidate_tag.lua, `begin`, where there are too many fences: a floor replaces them."""
        clock = raise_fence(s, after, w, fresh)
        after.floor.becomes(z3.IntVal(0) if without == "Floor" else clock)
        dropped = z3.IntVal(0) if without == "Floor" else clock
        after.fence.becomes(lambda t: z3.If(t == s.written_tag(w), dropped, 0))

    @system.step(Write)
    def move_aside(s: State, after: After, w: z3.ExprRef) -> None:
        """invalidate_tag.lua, `queue`: what an earlier run has moved aside is emptied first."""
        tag = s.written_tag(w)
        after.require(s.writing(w) == (Writing.COMMITTED if is_late else Writing.FENCED))
        if without != "Leftovers":
            after.require(s.every(Key, lambda k: Not(s.emptying(tag, k))))
        after.emptying.becomes(lambda t, k: z3.If(t == tag, s.member(t, k), s.emptying(t, k)))
        after.member.becomes(lambda t, k: And(t != tag, s.member(t, k)))
        after.writing[w] = Writing.DRAINING

    @system.step(Tag, Key)
    def drain(s: State, after: After, t: z3.ExprRef, k: z3.ExprRef) -> None:
        """invalidate_tag.lua, any stage: removes one of the members. Any process may do it."""
        after.require(s.emptying(t, k))
        after.emptying[t, k] = False
        after.kind[k] = Kind.NOTHING

    if not is_late:

        @system.step(Write)
        def acknowledge(s: State, after: After, w: z3.ExprRef) -> None:
            after.require(s.writing(w) == Writing.DRAINING)
            if without != "Acknowledgement":
                after.require(s.every(Key, lambda k: Not(s.emptying(s.written_tag(w), k))))
            after.writing[w] = Writing.ACKNOWLEDGED


def add_faults(system: System, without: str | None) -> None:
    """What Redis loses, and what is swept."""

    @system.optional(Key)
    def disappear(s: State, after: After, k: z3.ExprRef) -> None:
        """A lease or a value expires, is evicted, or is removed by its key."""
        after.kind[k] = Kind.NOTHING

    @system.optional(Tag, Key)
    def sweep(s: State, after: After, t: z3.ExprRef, k: z3.ExprRef) -> None:
        """examine.lua: removes the registration of an entry that is gone."""
        after.require(s.kind(k) == Kind.NOTHING)
        after.member[t, k] = False
        after.emptying[t, k] = False

    @system.optional()
    def lose_the_fence_table(s: State, after: After) -> None:
        lose_table(after)

    @system.optional()
    def FLUSHALL(s: State, after: After) -> None:
        lose_table(after)
        after.kind.becomes(lambda k: z3.IntVal(Kind.NOTHING))
        after.member.becomes(lambda t, k: z3.BoolVal(False))
        after.emptying.becomes(lambda t, k: z3.BoolVal(False))

    if without == "NoEviction":

        @system.optional(Tag)
        def evict_a_tag_set(s: State, after: After, tag: z3.ExprRef) -> None:
            after.member.becomes(lambda t, k: And(t != tag, s.member(t, k)))


def add_loads(system: System, without: str | None) -> None:
    """The lease, the snapshot and the commit of a load."""

    def grant(s: State, after: After, l: z3.ExprRef, fresh: z3.ExprRef) -> None:
        """The load receives the generation and the clock."""
        after.require(s.loading(l) == Loading.NEW)
        after.load_generation[l] = generation_of_table(s, after, fresh)
        after.load_clock[l] = s.clock()
        after.loading[l] = Loading.GRANTED

    @system.step(Load, Generation)
    def acquire(s: State, after: After, l: z3.ExprRef, fresh: z3.ExprRef) -> None:
        """acquire.lua."""
        k = s.loaded_key(l)
        after.require(s.kind(k) == Kind.NOTHING)
        grant(s, after, l, fresh)
        after.kind[k] = Kind.LEASE
        after.holder[k] = l
        after.expected[l] = l

    @system.optional(Load, Generation)
    def refresh(s: State, after: After, l: z3.ExprRef, fresh: z3.ExprRef) -> None:
        """refresh.lua: the load may replace the value of another load."""
        k = s.loaded_key(l)
        after.require(holds_value(s, k), s.holder(k) != l)
        grant(s, after, l, fresh)
        after.expected[l] = s.holder(k)

    @system.step(Load)
    def snapshot(s: State, after: After, l: z3.ExprRef) -> None:
        """The loader reads all rows that the value shows, in one snapshot."""
        after.require(s.loading(l) == Loading.GRANTED)
        after.loaded.becomes(lambda l2, t: z3.If(l2 == l, s.committed(t), s.loaded(l2, t)))
        after.loading[l] = Loading.LOADED

    if without == "ClockFirst":

        @system.step(Load)
        def receive_the_clock(s: State, after: After, l: z3.ExprRef) -> None:
            after.require(s.loading(l) == Loading.LOADED)
            after.load_clock[l] = s.clock()

    def is_held(s: State, l: z3.ExprRef) -> Formula:
        k = s.loaded_key(l)
        kind = z3.If(s.expected(l) == l, Kind.LEASE, Kind.VALUE)
        return And(s.kind(k) == kind, s.holder(k) == s.expected(l))

    def is_allowed(s: State, l: z3.ExprRef) -> list[Formula]:
        """Returns what commit.lua compares besides the lease."""
        is_fenced = lambda t: And(s.carries(l, t), s.fence(t) > s.load_clock(l))
        allowed = [s.floor() <= s.load_clock(l)]
        if without != "Generation":
            allowed.append(And(s.has_table(), s.generation() == s.load_generation(l)))
        if without != "Fence":
            allowed.append(s.every(Tag, lambda t: Not(is_fenced(t))))
        return allowed

    def register(s: State, after: After, l: z3.ExprRef) -> None:
        is_new = lambda t, k: And(k == s.loaded_key(l), s.carries(l, t))
        if without != "Registration":
            after.member.becomes(lambda t, k: Or(is_new(t, k), s.member(t, k)))
        after.loading[l] = Loading.STORED

    if without == "ComparedInCommit":

        @system.step(Load)
        def compare(s: State, after: After, l: z3.ExprRef) -> None:
            after.require(s.loading(l) == Loading.LOADED, *is_allowed(s, l))
            after.loading[l] = Loading.CHECKED

    @system.step(Load)
    def commit(s: State, after: After, l: z3.ExprRef) -> None:
        """commit.lua: compares, registers and stores in one step. A load that is refused takes no further step."""
        k = s.loaded_key(l)
        after.require(is_held(s, l))
        if without == "ComparedInCommit":
            after.require(s.loading(l) == Loading.CHECKED)
        else:
            after.require(s.loading(l) == Loading.LOADED, *is_allowed(s, l))
        after.kind[k] = Kind.VALUE
        after.holder[k] = l
        if without == "OneStep":
            after.loading[l] = Loading.UNREGISTERED
        else:
            register(s, after, l)

    if without == "OneStep":

        @system.step(Load)
        def register_later(s: State, after: After, l: z3.ExprRef) -> None:
            after.require(s.loading(l) == Loading.UNREGISTERED)
            register(s, after, l)


def add_reads(system: System) -> None:
    """Hits. A value that the read loads itself is no part of this system: see `fill`."""

    @system.step(Read)
    def begin(s: State, after: After, r: z3.ExprRef) -> None:
        after.require(s.reading(r) == Reading.NEW)
        acknowledged = lambda w: s.writing(w) == Writing.ACKNOWLEDGED
        after.follows.becomes(lambda r2, w: z3.If(r2 == r, acknowledged(w), s.follows(r2, w)))
        after.reading[r] = Reading.BEGUN

    @system.step(Read)
    def hit(s: State, after: After, r: z3.ExprRef) -> None:
        after.require(s.reading(r) == Reading.BEGUN, holds_value(s, s.read_key(r)))
        after.returned[r] = s.holder(s.read_key(r))
        after.reading[r] = Reading.DONE
