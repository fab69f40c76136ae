"""The near cache: entries in the memory of processes, their leases, and the writer that waits for them (ADR 23).

Any number of processes, keys, writes and reads. Each process has a clock of its own, whose rate differs from that of
the clock of Redis by at most a 21st. With a larger difference, the margin of a tenth would not suffice. `now` is the
clock of Redis.

Everything that Redis sends to a process has a place on one line: `sent` counts what is on it, `applied` what the
process has applied. A read that Redis executes after an invalidation returns no older version: `fill` and `tags` show
that.
"""

from __future__ import annotations

from near.invariant import add_invariant
from near.process import add_barriers, add_faults, add_reads
from near.state import AUXILIARY, SYMBOLS, Get, Key, Process, Slot, Write
from near.writer import add_writes
from system import System, Variant

# A read whose entry is in memory afterwards.
READ = ("send GET", "execute GET", "receive reply")

# Each defence, and what happens without it. The names are those of the model's `Defence`, where it has the same one.
DEFENCES = {
    "Lease": Variant("an entry is returned from memory without a lease"),
    "Counter": Variant("an entry is returned although the counter of its slot has changed"),
    "Epoch": Variant("an entry is returned although it was read over an earlier connection", ("reconnect",), READ),
    "SnapshotBefore": Variant("the snapshot is taken after the reply, not before the read"),
    "LeaseFromBegin": Variant("a lease counts from the end of its barrier", ("pass time",)),
    "Continuity": Variant("a barrier counts although the number before it is lost", ("FLUSHALL", "pass time"), READ),
    "VerifiedByPush": Variant("a barrier counts without its push", ("lose tracking of",)),
    "OneQueue": Variant("a barrier is taken before the pushes that were sent earlier"),
    "Register": Variant("a barrier does not register its process"),
    "RegisterAge": Variant("a lost register is believed at once", ("lose the register",)),
    "EveryHolder": Variant("a writer does not wait for one of the listed holders"),
    "Acknowledgement": Variant("a write is acknowledged without waiting"),
    "FreshReport": Variant("a process reports a barrier that began before the request", ("ask",), READ),
    "Margin": Variant("a writer waits no longer than the bound", ("pass time",)),
    "OwnCopy": Variant("a writer does not drop its own copy"),
}
# Enough elements, and enough steps, for a trace of each violation.
SMALL = {Process: 2, Key: 1, Slot: 1, Write: 1, Get: 1}
MOST_STEPS = 13


def build(without: str | None = None) -> System:
    """Returns the protocol, or the protocol without one of its defences."""
    assert without is None or without in DEFENCES
    system = System("near", SYMBOLS, AUXILIARY)
    add_writes(system, without)
    add_reads(system, without)
    add_barriers(system, without)
    add_faults(system)
    add_invariant(system, without)
    return system
