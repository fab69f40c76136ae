"""Fills of one entry per key: the lease, its comparison when the value is stored, and the invalidation of a key.

Any number of processes, keys, writes, loads and reads. A step is a script, a COMMIT or a snapshot, as in the model
(crates/proofs/src/model). Leases and values share one namespace of ids, because commit.lua compares `L<id>` or `V<id>`.
"""

from __future__ import annotations

from fill.invariant import add_goals, add_invariant
from fill.state import SYMBOLS, Id, Key, Load, Process, Read, Write
from fill.steps import add_loads, add_reads, add_writes
from system import System, Variant

# Each defence, and what happens without it. The names are those of the model's `Defence`, where it has the same one.
DEFENCES = {
    "LeaseId": Variant("a fill is stored without a comparison of its lease"),
    "LeasePerLoad": Variant("all loads of a process use one lease id"),
    "SentOnce": Variant("the request for a lease is executed again later"),
    "LeaseFirst": Variant("a load takes its snapshot before its lease"),
    "KillsLeases": Variant("an invalidation removes a value and spares a lease"),
    "AfterCommit": Variant("the invalidation comes before COMMIT"),
    "Acknowledgement": Variant("a write is acknowledged before Redis has executed its invalidation"),
    "JoinRule": Variant("a read that joined during a load takes a value whose fill was refused"),
    "ClosedBeforeCommit": Variant("a read can join a load after its commit"),
}
# Enough elements, and enough steps, for a trace of each violation.
SMALL = {Process: 1, Key: 1, Id: 3, Write: 1, Load: 2, Read: 1}
MOST_STEPS = 10


def build(without: str | None = None) -> System:
    """Returns the protocol, or the protocol without one of its defences."""
    assert without is None or without in DEFENCES
    system = System("fill", SYMBOLS, {})
    add_writes(system, without)
    add_loads(system, without)
    add_reads(system, without)
    add_invariant(system)
    add_goals(system)
    return system
