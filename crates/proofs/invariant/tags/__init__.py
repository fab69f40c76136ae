"""Invalidation by tag: the clock, the fences, the floor and the generation of the fence table, and the tag sets.

Any number of entries, tags, writes, loads and reads. A tag stands for the rows that it names, and an entry may carry
any number of tags, which its loader chooses. The lease is reduced to its load: `fill` shows what its id is for.
"""

from __future__ import annotations

from system import System, Variant
from tags.invariant import add_goals, add_invariant
from tags.state import AUXILIARY, SYMBOLS, Generation, Key, Load, Read, Tag, Write
from tags.steps import add_faults, add_loads, add_reads, add_writes

# Each defence, and what happens without it. The names are those of the model's `Defence`, where it has the same one.
DEFENCES = {
    "Fence": Variant("a fill is stored without a comparison of its tags with the fences"),
    "ComparedInCommit": Variant("the fences are compared in an earlier step than the one that stores the value"),
    "OneStep": Variant("the tags are registered in a later step than the one that stores the value"),
    "Registration": Variant("an entry is not registered under its tags"),
    "ClockFirst": Variant("a load receives the clock after its snapshot"),
    "FenceFirst": Variant("the fence is raised after the entries were removed"),
    "Acknowledgement": Variant("an invalidation is acknowledged before its tag set is empty"),
    "Leftovers": Variant("a set that an ended process has moved aside is forgotten", sizes={Write: 2}),
    "NoEviction": Variant("Redis evicts tag sets", ("evict a tag set",)),
    "Floor": Variant("fences are dropped without a floor", ("fence and fold",)),
    "Generation": Variant("a fill is stored after the fence table was lost", ("lose the fence table",)),
}
# Enough elements, and enough steps, for a trace of each violation.
SMALL = {Key: 1, Tag: 1, Generation: 2, Write: 1, Load: 2, Read: 1}
MOST_STEPS = 12


def build(without: str | None = None) -> System:
    """Returns the protocol, or the protocol without one of its defences."""
    assert without is None or without in DEFENCES
    system = System("tags", SYMBOLS, AUXILIARY)
    add_writes(system, without)
    add_faults(system, without)
    add_loads(system, without)
    add_reads(system)
    add_invariant(system)
    add_goals(system)
    return system
