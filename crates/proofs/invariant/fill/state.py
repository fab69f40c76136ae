"""What the state of the fills consists of."""

from __future__ import annotations

from enum import IntEnum

import z3
from z3 import And

from system import Bool, Formula, Int, State

Process, Key, Id, Write, Load, Read = map(z3.DeclareSort, ("Process", "Key", "Id", "Write", "Load", "Read"))


class Kind(IntEnum):
    """What Redis holds under a key."""

    NOTHING = 0
    LEASE = 1
    VALUE = 2


class Writing(IntEnum):
    """How far a write is."""

    NEW = 0
    COMMITTED = 1
    INVALIDATED = 2
    ACKNOWLEDGED = 3


class Loading(IntEnum):
    """How far a load is."""

    NEW = 0
    GRANTED = 1
    LOADED = 2
    STORED = 3
    REFUSED = 4


class Reading(IntEnum):
    """How far a read is."""

    NEW = 0
    BEGUN = 1
    JOINED = 2
    DONE = 3


SYMBOLS = {
    # The database.
    "committed": (Key, Int),
    # Redis: what it holds, under which id, and the version that a value shows.
    "kind": (Key, Int),
    "id": (Key, Id),
    "version": (Key, Int),
    "is_used": (Id, Bool),
    # Writes.
    "written_key": (Write, Key),
    "writing": (Write, Int),
    "written": (Write, Int),
    # Loads: the id that Redis must still hold when the value is stored, and the version that the load has read.
    "loaded_key": (Load, Key),
    "loading": (Load, Int),
    "expected": (Load, Id),
    "loaded": (Load, Int),
    "process": (Load, Process),
    "id_of_process": (Process, Id),
    # Reads: whether the write was acknowledged before the read began; the load that it waits for; the result.
    "read_key": (Read, Key),
    "reading": (Read, Int),
    "follows": (Read, Write, Bool),
    "joined": (Read, Load),
    "is_late": (Read, Bool),
    "returned": (Read, Int),
}


def is_invalidated(s: State, w: z3.ExprRef, k: z3.ExprRef) -> Formula:
    """Returns that Redis has executed the invalidation of the write, and that it is one of this key."""
    return And(s.writing(w) >= Writing.INVALIDATED, s.written_key(w) == k)
