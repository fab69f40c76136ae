"""The invariant of the near cache, and the promises that it implies.

It states three facts:

1. An entry that is older than a removal is no longer valid, or a push that ends it is on the line (`is_told`), or Redis
   has lost its tracking (`is_lost`) and no new barrier can be verified.
2. While such an entry is valid, a barrier that Redis executes after the removal does not renew the lease.
3. The leases from before the removal end before the writer acknowledges.
"""

from __future__ import annotations

import z3
from z3 import And, Implies, Not, Or

from near.state import (
    BOUND, FASTEST, SLOWEST, Barrier, Get, Getting, Key, Process, Write, Writing, has_valid_snapshot, is_older, longest,
    may_be_returned,
)
from system import Formula, State, System


def is_executed(s: State, g: z3.ExprRef) -> Formula:
    """Returns that Redis has executed the read, and that the process has not reconnected since its snapshot."""
    return And(s.getting(g) >= Getting.EXECUTED, s.snapshot_epoch(g) == s.epoch(s.reader(g)))


def is_outdated(s: State, g: z3.ExprRef, w: z3.ExprRef) -> Formula:
    """Returns that Redis has executed the removal, and that an older entry still has a valid snapshot."""
    return And(s.writing(w) >= Writing.REMOVED, is_executed(s, g), has_valid_snapshot(s, g), is_older(s, g, w))


def will_end(s: State, g: z3.ExprRef) -> Formula:
    """Returns that the barrier in progress, once it is verified, comes after the end of the entry's validity."""
    p = s.reader(g)
    comes_later = And(s.is_told(g), s.push_at(s.told_by(g), p) < s.barrier_at(p))
    return Or(Not(s.is_continuous(p)), Not(s.is_pushed(p)), comes_later)


def ends(s: State, g: z3.ExprRef, is_allowed: z3.ExprRef) -> Formula:
    """Returns that the lease is allowed, and so is the one that the barrier in progress may bring."""
    p = s.reader(g)
    may_renew = And(s.barrier(p) == Barrier.EXECUTED, Not(will_end(s, g)))
    return And(is_allowed(s.lease_until(p)), Implies(may_renew, is_allowed(s.began(p) + BOUND)))


def add_invariant(system: System, without: str | None) -> None:
    """Adds what holds in the initial state, what always holds, and the promises."""
    add_begin_and_promises(system, without)
    add_line(system)
    add_clocks(system, without)
    add_leases(system)
    add_goals(system)


def add_begin_and_promises(system: System, without: str | None) -> None:
    @system.initially
    def nothing_has_happened(s: State) -> Formula:
        return And(
            Implies(s.has_register(), s.register_since() <= s.now()),
            s.every(Write, lambda w: s.writing(w) == Writing.NEW),
            s.every(Get, lambda g: s.getting(g) == Getting.NEW),
            s.every(Write, Process, lambda w, p: Not(s.has_pushed(w, p))),
            s.every(Process, lambda p: And(s.sent(p) == 0, s.applied(p) == 0, s.barrier(p) == Barrier.NONE)),
            s.every(Process, lambda p: And(s.is_connected(p), s.is_tracking(p), s.has_sentinel(p))),
            s.every(Process, lambda p: And(s.lease_until(p) == s.clock(p), Not(s.is_registered(p)))),
            s.every(Process, Key, lambda p, k: Not(s.tracks(p, k))),
            s.every(Process, Write, lambda p, w: And(Not(s.is_asked(p, w)), Not(s.answers(p, w)))),
            s.every(Process, Write, lambda p, w: Not(s.has_reported(p, w))),
        )

    @system.auxiliary_initially
    def executions_are_over(s: State) -> Formula:
        is_over = lambda p: And(s.executed_at(p) <= s.now(), s.executed_at(p) <= s.register_since())
        return s.every(Process, is_over)

    @system.promise
    def memory_returns_nothing_older_than_an_acknowledged_write(s: State) -> Formula:
        """A hit from memory is one step, so it begins when it returns. This is the promise of `Near::Strict`."""
        is_stale = lambda g, w: And(s.writing(w) == Writing.ACKNOWLEDGED, is_older(s, g, w))
        return s.every(Get, Write, lambda g, w: Implies(may_be_returned(s, g, without), Not(is_stale(g, w))))

    @system.promise
    def memory_returns_nothing_for_longer_than_the_bound_after_its_removal(s: State) -> Formula:
        """The promise of `Near::Bounded`, by the clock of the process that returns the entry."""

        def is_in_time(g: z3.ExprRef, w: z3.ExprRef) -> Formula:
            p = s.reader(g)
            is_stale = And(s.writing(w) >= Writing.REMOVED, is_older(s, g, w), may_be_returned(s, g, without))
            return Implies(is_stale, s.clock(p) <= s.removed_at(w, p) + BOUND)

        return s.every(Get, Write, is_in_time)


def add_line(system: System) -> None:
    """The line to each process, and what becomes of a read whose entry is removed."""

    @system.always
    def places_on_the_line_differ(s: State) -> Formula:
        both = lambda v, w, p: And(s.has_pushed(v, p), s.has_pushed(w, p), s.push_at(v, p) == s.push_at(w, p))
        reply = lambda g, w: And(s.getting(g) >= Getting.EXECUTED, s.has_pushed(w, s.reader(g)))
        barrier = lambda p, w: And(s.barrier(p) == Barrier.EXECUTED, s.has_pushed(w, p))
        return And(
            s.every(Write, Write, Process, lambda v, w, p: Implies(both(v, w, p), v == w)),
            s.every(Get, Write, lambda g, w: Implies(reply(g, w), s.reply_at(g) != s.push_at(w, s.reader(g)))),
            s.every(Process, Write, lambda p, w: Implies(barrier(p, w), s.barrier_at(p) != s.push_at(w, p))),
        )

    @system.always
    def line_is_in_order(s: State) -> Formula:
        is_sent = lambda w, p: And(s.push_at(w, p) < s.sent(p), s.writing(w) >= Writing.REMOVED)
        push = lambda w, p: Implies(s.has_pushed(w, p), is_sent(w, p))
        return And(
            s.every(Process, lambda p: s.applied(p) <= s.sent(p)),
            s.every(Write, Process, push),
            s.every(Get, lambda g: Implies(s.getting(g) >= Getting.EXECUTED, s.reply_at(g) < s.sent(s.reader(g)))),
            s.every(Process, lambda p: Implies(s.barrier(p) == Barrier.EXECUTED, s.barrier_at(p) < s.sent(p))),
        )

    @system.always
    def no_snapshot_is_ahead_of_its_process(s: State) -> Formula:
        def is_sound(g: z3.ExprRef) -> Formula:
            p = s.reader(g)
            return And(s.snapshot_count(g) <= s.count(p, s.slot(s.read_key(g))), s.snapshot_epoch(g) <= s.epoch(p))

        return s.every(Get, lambda g: Implies(s.getting(g) >= Getting.SENT, is_sound(g)))

    @system.always
    def tracked_keys_need_a_connection(s: State) -> Formula:
        is_possible = lambda p: And(s.is_tracking(p), s.is_connected(p))
        return s.every(Process, Key, lambda p, k: Implies(s.tracks(p, k), is_possible(p)))

    @system.always
    def entries_are_tracked_told_or_lost(s: State) -> Formula:
        def is_sound(g: z3.ExprRef) -> Formula:
            p = s.reader(g)
            return Or(s.is_told(g), s.is_lost(g), s.tracks(p, s.read_key(g)))

        return s.every(Get, lambda g: Implies(is_executed(s, g), is_sound(g)))

    @system.always
    def valid_entries_that_are_told_have_a_push_on_the_line(s: State) -> Formula:
        def is_sound(g: z3.ExprRef) -> Formula:
            w, p = s.told_by(g), s.reader(g)
            is_ahead = Implies(has_valid_snapshot(s, g), s.push_at(w, p) >= s.applied(p))
            return And(s.has_pushed(w, p), s.written_key(w) == s.read_key(g), is_ahead)

        return s.every(Get, lambda g: Implies(And(is_executed(s, g), s.is_told(g)), is_sound(g)))

    @system.always
    def lost_tracking_fails_the_next_barrier(s: State) -> Formula:
        def fails(p: z3.ExprRef) -> Formula:
            has_failed = And(s.barrier(p) == Barrier.EXECUTED, Not(s.is_continuous(p)))
            return Or(Not(s.has_sentinel(p)), Not(s.is_tracking(p)), Not(s.is_connected(p)), has_failed)

        is_lost = lambda g: And(is_executed(s, g), s.is_lost(g), Not(s.is_told(g)))
        return s.every(Get, lambda g: Implies(is_lost(g), fails(s.reader(g))))

    @system.always
    def outdated_entries_are_told_or_lost(s: State) -> Formula:
        return s.every(Get, Write, lambda g, w: Implies(is_outdated(s, g, w), Or(s.is_told(g), s.is_lost(g))))


def add_clocks(system: System, without: str | None) -> None:
    """Moments in order, and how far clocks can be apart."""

    @system.always
    def moments_are_in_order(s: State) -> Formula:
        def is_sound(p: z3.ExprRef) -> Formula:
            in_progress = s.barrier(p) != Barrier.NONE
            in_time = And(s.executed_at(p) <= s.now(), s.lease_until(p) <= s.clock(p) + BOUND)
            return And(in_time, Implies(in_progress, s.began(p) <= s.clock(p)))

        register = Implies(s.has_register(), s.register_since() <= s.now())
        return And(register, s.every(Process, is_sound))

    @system.always
    def leases_are_counted_from_their_barrier(s: State) -> Formula:
        def is_sound(p: z3.ExprRef) -> Formula:
            most = BOUND - SLOWEST * (s.now() - s.executed_at(p))
            pending = s.began(p) + BOUND - s.clock(p)
            is_over = s.lease_until(p) <= s.clock(p)
            is_executed = s.barrier(p) == Barrier.EXECUTED
            return And(Or(is_over, s.lease_until(p) - s.clock(p) <= most), Implies(is_executed, pending <= most))

        return s.every(Process, is_sound)

    @system.always
    def register_names_what_was_executed_since_it_began(s: State) -> Formula:
        def is_sound(p: z3.ExprRef) -> Formula:
            is_exact = s.registered_until(p) == s.executed_at(p) + longest(without)
            is_named = Implies(s.is_registered(p), And(s.has_register(), is_exact))
            is_unnamed = And(s.has_register(), Not(s.is_registered(p)))
            return And(is_named, Implies(is_unnamed, s.executed_at(p) <= s.register_since()))

        return s.every(Process, is_sound)

    @system.always
    def clocks_advance_alike(s: State) -> Formula:
        def is_sound(w: z3.ExprRef, p: z3.ExprRef) -> Formula:
            least = SLOWEST * (s.now() - s.listed_at(w))
            passed = Implies(s.writing(w) >= Writing.LISTED, s.clock(p) - s.removed_at(w, p) >= least)
            return And(s.removed_at(w, p) <= s.clock(p), passed)

        def is_waiting(w: z3.ExprRef) -> Formula:
            return s.clock(s.writer(w)) - s.waits_since(w) <= FASTEST * (s.now() - s.listed_at(w))

        return And(
            s.every(Write, Process, lambda w, p: Implies(s.writing(w) >= Writing.REMOVED, is_sound(w, p))),
            s.every(Write, lambda w: Implies(s.writing(w) >= Writing.WAITING, is_waiting(w))),
        )

    @system.always
    def writers_wait_for_unknown_holders(s: State) -> Formula:
        def is_sound(w: z3.ExprRef) -> Formula:
            rest = s.listed_since(w) + longest(without) - s.listed_at(w)
            in_order = And(s.listed_since(w) <= s.listed_at(w), s.listed_at(w) <= s.now())
            return And(s.unknown_for(w) >= 0, s.unknown_for(w) >= rest, in_order)

        return s.every(Write, lambda w: Implies(s.writing(w) >= Writing.LISTED, is_sound(w)))


def add_leases(system: System) -> None:
    """No barrier renews a lease after a removal while an outdated entry is valid. So the leases from before end."""

    @system.always
    def leases_over_outdated_entries_end_within_the_bound(s: State) -> Formula:
        def is_sound(g: z3.ExprRef, w: z3.ExprRef) -> Formula:
            return ends(s, g, lambda until: until <= s.removed_at(w, s.reader(g)) + BOUND)

        return s.every(Get, Write, lambda g, w: Implies(is_outdated(s, g, w), is_sound(g, w)))

    @system.always
    def only_writers_that_wait_are_answered(s: State) -> Formula:
        is_known = lambda p, w: Or(s.is_asked(p, w), s.answers(p, w), s.has_reported(p, w))
        return s.every(Process, Write, lambda p, w: Implies(is_known(p, w), s.writing(w) >= Writing.WAITING))

    @system.always
    def reports_come_after_the_end_of_outdated_entries(s: State) -> Formula:
        def is_sound(g: z3.ExprRef, w: z3.ExprRef) -> Formula:
            p = s.reader(g)
            answers = And(s.barrier(p) == Barrier.EXECUTED, s.answers(p, w))
            return And(Not(s.has_reported(p, w)), Implies(answers, will_end(s, g)))

        return s.every(Get, Write, lambda g, w: Implies(is_outdated(s, g, w), is_sound(g, w)))

    @system.always
    def leases_of_unlisted_processes_are_older_than_the_register(s: State) -> Formula:
        def is_sound(g: z3.ExprRef, w: z3.ExprRef) -> Formula:
            p = s.reader(g)
            most = BOUND - SLOWEST * (s.now() - s.listed_since(w))
            return ends(s, g, lambda until: Or(until <= s.clock(p), until - s.clock(p) <= most))

        unlisted = lambda g, w: And(s.writing(w) >= Writing.LISTED, Not(s.is_listed(w, s.reader(g))))
        return s.every(Get, Write, lambda g, w: Implies(And(is_outdated(s, g, w), unlisted(g, w)), is_sound(g, w)))

    @system.always
    def leases_over_outdated_entries_have_ended_when_a_write_is_acknowledged(s: State) -> Formula:
        def is_sound(g: z3.ExprRef, w: z3.ExprRef) -> Formula:
            return ends(s, g, lambda until: until <= s.clock(s.reader(g)))

        acknowledged = lambda g, w: And(is_outdated(s, g, w), s.writing(w) == Writing.ACKNOWLEDGED)
        return s.every(Get, Write, lambda g, w: Implies(acknowledged(g, w), is_sound(g, w)))


def add_goals(system: System) -> None:
    """What must be possible, because otherwise the promise would be kept by a protocol that does nothing."""

    @system.goal
    def memory_returns_an_old_entry_while_its_writer_waits(s: State) -> Formula:
        is_waiting = lambda g, w: And(s.writing(w) == Writing.WAITING, is_older(s, g, w))
        return s.some(Get, Write, lambda g, w: And(is_waiting(g, w), may_be_returned(s, g)))

    @system.goal
    def a_report_ends_the_wait_before_the_lease_is_over(s: State) -> Formula:
        def is_early(w: z3.ExprRef, p: z3.ExprRef) -> Formula:
            waited = s.clock(s.writer(w)) - s.waits_since(w)
            has_reported = And(s.is_listed(w, p), s.has_reported(p, w))
            return And(s.writing(w) == Writing.ACKNOWLEDGED, has_reported, waited < BOUND)

        return s.some(Write, Process, is_early)
