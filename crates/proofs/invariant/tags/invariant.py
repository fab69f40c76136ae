"""The invariant of the invalidation by tag, and the promise that it implies."""

from __future__ import annotations

import z3
from z3 import And, Implies, Not, Or

from system import Formula, State, System
from tags.state import (
    Generation, Key, Kind, Load, Loading, Read, Reading, Tag, Write, Writing, holds_value, is_outdated,
)


def add_invariant(system: System) -> None:
    """Adds what holds in the initial state, what always holds, and the promise."""

    @system.initially
    def nothing_has_happened(s: State) -> Formula:
        return And(
            s.every(Write, lambda w: s.writing(w) == Writing.NEW),
            s.every(Load, lambda l: s.loading(l) == Loading.NEW),
            s.every(Read, lambda r: s.reading(r) == Reading.NEW),
            s.every(Key, lambda k: s.kind(k) == Kind.NOTHING),
            s.every(Tag, Key, lambda t, k: And(Not(s.member(t, k)), Not(s.emptying(t, k)))),
            s.every(Generation, lambda g: Not(s.is_used(g))),
            Not(s.has_table()),
            And(s.clock() == 0, s.floor() == 0),
            s.every(Tag, lambda t: s.fence(t) == 0),
        )

    def reads_are_up_to_date(s: State) -> Formula:
        is_done = lambda r, w: And(s.reading(r) == Reading.DONE, s.follows(r, w))
        return s.every(Read, Write, lambda r, w: Implies(is_done(r, w), Not(is_outdated(s, s.returned(r), w))))

    @system.promise
    def read_after_an_acknowledged_write_returns_no_older_rows(s: State) -> Formula:
        return reads_are_up_to_date(s)

    system.always(reads_are_up_to_date)

    @system.always
    def reads_follow_acknowledged_writes(s: State) -> Formula:
        begun = lambda r, w: And(s.reading(r) != Reading.NEW, s.follows(r, w))
        return s.every(Read, Write, lambda r, w: Implies(begun(r, w), s.writing(w) == Writing.ACKNOWLEDGED))

    @system.always
    def versions_are_committed(s: State) -> Formula:
        is_committed = lambda w: s.writing(w) >= Writing.COMMITTED
        return s.every(Write, lambda w: Implies(is_committed(w), s.written(w) <= s.committed(s.written_tag(w))))

    @system.always
    def values_are_registered_under_their_tags(s: State) -> Formula:
        is_registered = lambda t, k: Or(s.member(t, k), s.emptying(t, k))
        carries = lambda t, k: And(holds_value(s, k), s.carries(s.holder(k), t))
        return s.every(Tag, Key, lambda t, k: Implies(carries(t, k), is_registered(t, k)))

    @system.always
    def outdated_values_are_being_removed(s: State) -> Formula:
        """Once an invalidation has moved the set aside, every entry that it must remove is in that set."""

        def is_sound(k: z3.ExprRef, w: z3.ExprRef) -> Formula:
            is_drained = And(s.writing(w) == Writing.DRAINING, s.emptying(s.written_tag(w), k))
            return Or(s.writing(w) < Writing.DRAINING, is_drained, Not(is_outdated(s, s.holder(k), w)))

        return s.every(Key, Write, lambda k, w: Implies(holds_value(s, k), is_sound(k, w)))

    @system.always
    def loads_that_pass_the_fence_are_new_enough(s: State) -> Formula:
        """The heart of the fence: a load with the clock of the fence, or a later one, began after COMMIT."""

        def is_refused(l: z3.ExprRef, w: z3.ExprRef) -> Formula:
            return And(s.fenced_in(w) == s.generation(), s.load_clock(l) < s.fenced_at(w))

        def is_sound(l: z3.ExprRef, w: z3.ExprRef) -> Formula:
            is_current = And(s.has_table(), s.loading(l) == Loading.LOADED, s.load_generation(l) == s.generation())
            return Implies(And(is_current, is_outdated(s, l, w), s.writing(w) >= Writing.FENCED), is_refused(l, w))

        return s.every(Load, Write, is_sound)

    @system.always
    def fences_last_as_long_as_their_table(s: State) -> Formula:
        def is_sound(w: z3.ExprRef) -> Formula:
            at = s.fenced_at(w)
            is_current = And(s.has_table(), s.writing(w) >= Writing.FENCED, s.fenced_in(w) == s.generation())
            return Implies(is_current, And(at <= s.clock(), Or(s.fence(s.written_tag(w)) >= at, s.floor() >= at)))

        return s.every(Write, is_sound)

    @system.always
    def no_clock_is_ahead_of_the_table(s: State) -> Formula:
        is_one = lambda l: And(s.loading(l) >= Loading.GRANTED, s.load_generation(l) == s.generation())
        is_current = lambda l: And(s.has_table(), is_one(l))
        is_sound = lambda l: Implies(is_current(l), s.load_clock(l) <= s.clock())
        fences = s.every(Tag, lambda t: s.fence(t) <= s.clock())
        return And(s.every(Load, is_sound), fences, 0 <= s.floor(), s.floor() <= s.clock())

    @system.always
    def generations_in_use_are_not_fresh(s: State) -> Formula:
        return And(
            Implies(s.has_table(), s.is_used(s.generation())),
            s.every(Load, lambda l: Implies(s.loading(l) >= Loading.GRANTED, s.is_used(s.load_generation(l)))),
            s.every(Write, lambda w: Implies(s.writing(w) >= Writing.FENCED, s.is_used(s.fenced_in(w)))),
        )


def add_goals(system: System) -> None:
    """What must be possible, because otherwise the promise would be kept by a protocol that does nothing."""

    @system.goal
    def a_hit_shows_an_acknowledged_write(s: State) -> Formula:
        def is_new(r: z3.ExprRef, w: z3.ExprRef) -> Formula:
            l, t = s.returned(r), s.written_tag(w)
            is_hit = And(s.reading(r) == Reading.DONE, s.follows(r, w))
            return And(is_hit, s.carries(l, t), s.loaded(l, t) == s.written(w))

        return s.some(Read, Write, is_new)

    @system.goal
    def only_the_fence_refuses_a_load(s: State) -> Formula:
        def is_refused(l: z3.ExprRef, t: z3.ExprRef) -> Formula:
            holds_lease = And(s.kind(s.loaded_key(l)) == Kind.LEASE, s.holder(s.loaded_key(l)) == l)
            is_current = And(s.has_table(), s.generation() == s.load_generation(l), s.floor() <= s.load_clock(l))
            is_fenced = And(s.carries(l, t), s.fence(t) > s.load_clock(l))
            return And(s.loading(l) == Loading.LOADED, holds_lease, is_current, is_fenced)

        return s.some(Load, Tag, is_refused)
