"""The invariant of the fills, and the promise that it implies."""

from __future__ import annotations

import z3
from z3 import And, Implies, Not, Or

from fill.state import Id, Key, Kind, Load, Loading, Read, Reading, Write, Writing, is_invalidated
from system import Formula, State, System


def add_invariant(system: System) -> None:
    """What holds in the initial state, what always holds, and the promise."""

    @system.initially
    def nothing_has_happened(s: State) -> Formula:
        return And(
            s.every(Write, lambda w: s.writing(w) == Writing.NEW),
            s.every(Load, lambda l: s.loading(l) == Loading.NEW),
            s.every(Read, lambda r: s.reading(r) == Reading.NEW),
            s.every(Key, lambda k: s.kind(k) == Kind.NOTHING),
            s.every(Id, lambda i: Not(s.is_used(i))),
        )

    @system.promise
    def read_after_an_acknowledged_write_returns_no_older_version(s: State) -> Formula:
        done = lambda r, w: And(s.reading(r) == Reading.DONE, s.follows(r, w))
        return s.every(Read, Write, lambda r, w: Implies(done(r, w), s.returned(r) >= s.written(w)))

    @system.always
    def reads_are_up_to_date(s: State) -> Formula:
        done = lambda r, w: And(s.reading(r) == Reading.DONE, s.follows(r, w))
        return s.every(Read, Write, lambda r, w: Implies(done(r, w), s.returned(r) >= s.written(w)))

    @system.always
    def versions_are_committed(s: State) -> Formula:
        is_committed = lambda w: s.writing(w) >= Writing.COMMITTED
        return s.every(Write, lambda w: Implies(is_committed(w), s.written(w) <= s.committed(s.written_key(w))))

    @system.always
    def ids_in_use_are_not_fresh(s: State) -> Formula:
        return And(
            s.every(Key, lambda k: Implies(s.kind(k) != Kind.NOTHING, s.is_used(s.id(k)))),
            s.every(Load, lambda l: Implies(s.loading(l) >= Loading.GRANTED, s.is_used(s.expected(l)))),
        )

    @system.always
    def values_are_as_new_as_every_invalidation(s: State) -> Formula:
        outdated = lambda k, w: And(s.kind(k) == Kind.VALUE, is_invalidated(s, w, k), s.version(k) < s.written(w))
        return s.every(Key, Write, lambda k, w: Not(outdated(k, w)))

    @system.always
    def loads_that_can_be_stored_are_too(s: State) -> Formula:
        """The heart of the lease: an invalidation removes the id that the older loads expect."""

        def outdated(l: z3.ExprRef, w: z3.ExprRef) -> Formula:
            k = s.loaded_key(l)
            can_be_stored = And(s.loading(l) == Loading.LOADED, s.kind(k) != Kind.NOTHING, s.id(k) == s.expected(l))
            return And(can_be_stored, is_invalidated(s, w, k), s.loaded(l) < s.written(w))

        return s.every(Load, Write, lambda l, w: Not(outdated(l, w)))

    @system.always
    def reads_follow_acknowledged_writes_of_their_key(s: State) -> Formula:
        is_one = lambda r, w: And(s.writing(w) == Writing.ACKNOWLEDGED, s.written_key(w) == s.read_key(r))
        begun = lambda r, w: And(s.reading(r) != Reading.NEW, s.follows(r, w))
        return s.every(Read, Write, lambda r, w: Implies(begun(r, w), is_one(r, w)))

    @system.always
    def joined_loads_are_new_enough(s: State) -> Formula:
        """A read that joined early is older than the load. For one that joined late, the commit is the proof."""

        def is_sound(r: z3.ExprRef, w: z3.ExprRef) -> Formula:
            l = s.joined(r)
            is_new_enough = Implies(s.follows(r, w), s.loaded(l) >= s.written(w))
            early = And(Not(s.is_late(r)), s.loading(l) >= Loading.LOADED)
            return And(
                s.loaded_key(l) == s.read_key(r),
                Implies(s.is_late(r), s.loading(l) >= Loading.LOADED),
                Implies(Or(early, s.loading(l) == Loading.STORED), is_new_enough),
            )

        return s.every(Read, Write, lambda r, w: Implies(s.reading(r) == Reading.JOINED, is_sound(r, w)))


def add_goals(system: System) -> None:
    """What must be possible, because otherwise the promise would be kept by a protocol that does nothing."""

    @system.goal
    def a_hit_shows_an_acknowledged_write(s: State) -> Formula:
        is_new = lambda r, w: And(s.reading(r) == Reading.DONE, s.follows(r, w), s.returned(r) == s.written(w))
        return s.some(Read, Write, lambda r, w: And(is_new(r, w), s.kind(s.read_key(r)) == Kind.VALUE))

    @system.goal
    def a_late_load_meets_a_newer_value(s: State) -> Formula:
        is_newer = lambda l, k: And(s.kind(k) == Kind.VALUE, s.version(k) > s.loaded(l))
        return s.some(Load, lambda l: And(s.loading(l) == Loading.LOADED, is_newer(l, s.loaded_key(l))))
