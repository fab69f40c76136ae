"""What the state of the tags and of the entries that carry them consists of."""

from __future__ import annotations

from enum import IntEnum

import z3
from z3 import And

from system import Bool, Formula, Int, State

Key, Tag, Generation, Write, Load, Read = map(z3.DeclareSort, ("Key", "Tag", "Generation", "Write", "Load", "Read"))


class Kind(IntEnum):
    """What Redis holds under a key."""

    NOTHING = 0
    LEASE = 1
    VALUE = 2


class Writing(IntEnum):
    """How far a write and its invalidation are. The stages of invalidate_tag.lua are `begin`, `queue` and `drain`."""

    NEW = 0
    COMMITTED = 1
    FENCED = 2
    DRAINING = 3
    ACKNOWLEDGED = 4


class Loading(IntEnum):
    """How far a load is. `CHECKED` and `UNREGISTERED` exist only without a defence."""

    NEW = 0
    GRANTED = 1
    LOADED = 2
    CHECKED = 3
    UNREGISTERED = 4
    STORED = 5


class Reading(IntEnum):
    """How far a read is."""

    NEW = 0
    BEGUN = 1
    DONE = 2


SYMBOLS = {
    # The database: the version of the rows that a tag names.
    "committed": (Tag, Int),
    # Redis: what it holds under a key, and the load that has set the lease or stored the value.
    "kind": (Key, Int),
    "holder": (Key, Load),
    # The fence table.
    "has_table": (Bool,),
    "generation": (Generation,),
    "clock": (Int,),
    "floor": (Int,),
    "fence": (Tag, Int),
    "is_used": (Generation, Bool),
    # The set of a tag, and the set that an invalidation has moved aside to empty it.
    "member": (Tag, Key, Bool),
    "emptying": (Tag, Key, Bool),
    # Writes.
    "written_tag": (Write, Tag),
    "writing": (Write, Int),
    "written": (Write, Int),
    # Loads: what the value carries and shows, and what the load has received with its lease.
    "loaded_key": (Load, Key),
    "loading": (Load, Int),
    "expected": (Load, Load),
    "carries": (Load, Tag, Bool),
    "loaded": (Load, Tag, Int),
    "load_generation": (Load, Generation),
    "load_clock": (Load, Int),
    # Reads: whether the write was acknowledged before the read began, and the load whose value was returned.
    "read_key": (Read, Key),
    "reading": (Read, Int),
    "follows": (Read, Write, Bool),
    "returned": (Read, Load),
}

# For the invariant only: where and when a write has fenced its tag.
AUXILIARY = {
    "fenced_in": (Write, Generation),
    "fenced_at": (Write, Int),
}


def is_outdated(s: State, l: z3.ExprRef, w: z3.ExprRef) -> Formula:
    """Returns that the value of a load shows rows from before the write."""
    t = s.written_tag(w)
    return And(s.carries(l, t), s.loaded(l, t) < s.written(w))


def holds_value(s: State, k: z3.ExprRef) -> Formula:
    return s.kind(k) == Kind.VALUE
