"""Proves the promises of the cache's protocol for any number of processes, loads, reads and writes.

For each of the three systems (`fill`, `tags`, `near`), z3 shows that an invariant holds in the initial state, that
every step keeps it, and that it implies the promise. Then each defence is removed, one at a time. Without it, the invariant
must not be inductive, and z3 must find steps from the initial state to a violation of the promise. An invariant that is
only too weak would prove nothing about the defence. docs/PROOFS.md says what this covers.

    prove.py [--only fill|tags|near] [--paths] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import z3

import fill
import near
import tags
from check import Trace, Unrolled, induction
from system import Variant

SYSTEMS: dict[str, ModuleType] = {"fill": fill, "tags": tags, "near": near}


@dataclass(frozen=True)
class Verdict:
    """The result of one check."""

    system: str
    subject: str
    found: str
    is_as_expected: bool
    seconds: float
    trace: Trace | None = None

    def __str__(self) -> str:
        wrong = "" if self.is_as_expected else ", NOT AS IT MUST BE"
        return f"{self.system:<5} {self.subject:<27} {self.seconds:>5.1f} s  {self.found}{wrong}"


def prove(name: str) -> Verdict:
    """Checks that the whole protocol keeps its invariant, and that the invariant implies the promises."""
    began = time.monotonic()
    system = SYSTEMS[name].build()
    failures = list(induction(system))
    size = f"{len(system.invariant)} clauses, kept by {len(system.steps)} steps; promises: {len(system.promises)}"
    found = f"NOT PROVEN: {'; '.join(map(str, failures))}" if failures else f"proven: {size}"
    return Verdict(name, "whole", found, not failures, time.monotonic() - began)


def use(name: str) -> Verdict:
    """Checks that every step can be taken and that every goal can be reached, so that the proof is not vacuous."""
    began = time.monotonic()
    module = SYSTEMS[name]
    system = module.build()
    unrolled = Unrolled(system, module.SMALL, module.MOST_STEPS, [step.name for step in system.steps])
    dead = [step.name for step in system.steps if not unrolled.can_take(step)]
    dead += [goal.name for goal in system.goals if unrolled.reach(goal.body(unrolled.last)) is None]
    size = f"{len(system.steps)} steps and {len(system.goals)} goals"
    found = f"NEVER: {'; '.join(dead)}" if dead else f"{size} are reached"
    return Verdict(name, "in use", found, not dead, time.monotonic() - began)


def refute(name: str, defence: str) -> Verdict:
    """Checks that the protocol without a defence breaks its invariant and its promise."""
    began = time.monotonic()
    module = SYSTEMS[name]
    variant: Variant = module.DEFENCES[defence]
    system = module.build(defence)
    failure = next(induction(system), None)
    unrolled = Unrolled(system, {**module.SMALL, **variant.sizes}, module.MOST_STEPS, variant.optional)
    unrolled.begin_with(variant.begins_with)
    trace = unrolled.reach_soon(z3.Not(system.promises[0].body(unrolled.last)))
    violated = f"VIOLATED in {len(trace.steps)} steps" if trace else "no violation"
    inductive = f"not inductive: {failure}" if failure else "inductive"
    is_refuted = failure is not None and trace is not None
    return Verdict(name, f"without {defence}", f"{violated}, {inductive}", is_refuted, time.monotonic() - began, trace)


def verdicts(only: str | None) -> Iterator[Verdict]:
    """Makes all checks, one in each process that the machine has a core for, and yields them in their order."""
    with ProcessPoolExecutor() as pool:
        pending: list[Future[Verdict]] = []
        for name, module in SYSTEMS.items():
            if only in (None, name):
                pending += [pool.submit(prove, name), pool.submit(use, name)]
                pending += [pool.submit(refute, name, defence) for defence in module.DEFENCES]
        yield from (verdict.result() for verdict in pending)


def table(all_verdicts: list[Verdict]) -> str:
    """Returns the results as Markdown."""
    rows = ["| system | protocol | found | steps to the violation |", "|---|---|---|---|"]
    for verdict in all_verdicts:
        rows.append(f"| {verdict.system} | {verdict.subject} | {verdict.found} | {verdict.trace or ''} |")
    return "\n".join(rows) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description="Proves an invariant of the cache's protocol with z3.")
    parser.add_argument("--only", choices=SYSTEMS, help="one of the systems")
    parser.add_argument("--paths", action="store_true", help="prints the steps to each violation")
    parser.add_argument("--out", type=Path, default=Path("target/reports"), help="where the table goes (invariant.md)")
    options = parser.parse_args()
    began, done = time.monotonic(), []
    for verdict in verdicts(options.only):
        done.append(verdict)
        print(verdict, flush=True)
        if verdict.trace and options.paths:
            print(f"      {verdict.trace}")
    wrong = [verdict for verdict in done if not verdict.is_as_expected]
    broken = [verdict for verdict in done if verdict.trace]
    proven = [verdict.system for verdict in done if verdict.subject == "whole" and verdict.is_as_expected]
    seconds = time.monotonic() - began
    print(f"proven for any number of processes: {', '.join(proven) or 'nothing'};"
          f" VIOLATED without any one of {len(broken)} defences; z3 {z3.get_version_string()}, {seconds:.0f} s")
    options.out.mkdir(parents=True, exist_ok=True)
    report = options.out / "invariant.md"
    report.write_text(table(done), encoding="utf-8")
    print(f"as a table, with the steps to each violation: {report}")
    if wrong:
        print(f"{len(wrong)} results are not as they must be", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
