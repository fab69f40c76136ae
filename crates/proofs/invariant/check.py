"""What z3 is asked: whether the invariant is inductive, and whether a state can be reached in a few steps.

A limit of z3's own steps (`rlimit`) takes the place of a time limit, so the result is the same on a slow machine.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import z3

from system import Clause, Formula, Function, Small, Sort, State, Step, System, Unbounded

# For a proof: some minutes. The longest one of the real protocol needs a thousandth of it.
PROOF_LIMIT = 1_000_000_000
# For a trace: a second. z3 finds most traces at once, and searches long for others, by chance. So it begins again with
# another seed, and with a larger limit from time to time.
TRACE_LIMIT = 4_000_000
SEEDS = 24
# For a shorter trace than the first one, which would be good enough.
SHORTER_LIMIT = 400_000


@dataclass(frozen=True)
class Failure:
    """A clause that does not follow."""

    clause: str
    step: str
    answer: z3.CheckSatResult

    def __str__(self) -> str:
        return f"\"{self.clause}\" {self.step} ({'refuted' if self.answer == z3.sat else 'not proven'})"


def hold(clauses: list[Clause], state: State) -> list[Formula]:
    return [clause.body(state) for clause in clauses]


def unproven(known: list[Formula], clauses: list[Clause], state: State, step: str) -> Iterator[Failure]:
    """Returns the clauses that do not follow from what is known."""
    base = z3.Solver()
    base.set("rlimit", PROOF_LIMIT)
    base.add(known)
    for clause in clauses:
        base.push()
        base.add(z3.Not(clause.body(state)))
        answer = base.check()
        base.pop()
        if answer != z3.unsat:
            yield Failure(clause.name, step, answer)


def induction(system: System) -> Iterator[Failure]:
    """Returns what is missing for the invariant to be inductive and to imply the promises; nothing if it is."""
    before = system.state(Unbounded())
    begin = hold(system.initial + system.auxiliary_initial, before)
    yield from unproven(begin, system.invariant, before, "in the initial state")
    invariant = hold(system.invariant, before)
    yield from unproven(invariant, system.promises, before, "by the invariant")
    for step in system.steps:
        after = step.taken(before, step.fresh_parameters())
        yield from unproven(invariant + after.required, system.invariant, after.state(), f"after \"{step.name}\"")


@dataclass(frozen=True)
class Trace:
    """Steps that lead from the initial state to a state."""

    steps: tuple[str, ...]
    kinds: frozenset[str]

    def __str__(self) -> str:
        return ", ".join(self.steps)


class Unrolled:
    """At most a number of steps of a system from its initial state, over a few elements."""

    def __init__(self, system: System, sizes: dict[Sort, int], most: int, optional: Container[str]) -> None:
        self.system = system
        self.scope = Small(sizes)
        self.kinds = [step for step in system.steps if not step.is_optional or step.name in optional]
        self.known: list[Formula] = [self.scope.distinct()]
        self.states = [system.observable_state(self.scope, 0)]
        # For each moment, the steps of which at most one is taken, with their parameters.
        self.options: list[list[tuple[Step, z3.BoolRef, list[Any]]]] = []
        self.known += hold(system.initial, self.last)
        for name in system.symbols:
            self.known += [self.scope.contains(self.last.functions[name](*at)) for at in self.points(name)]
        for _ in range(most):
            self.extend()

    @property
    def last(self) -> State:
        return self.states[-1]

    def begin_with(self, kinds: Iterable[str]) -> None:
        """Fixes the kinds of the first steps, so that z3 finds the others sooner."""
        for options, kind in zip(self.options, kinds):
            self.known.append(z3.Or([is_taken for step, is_taken, _ in options if step.name == kind]))

    def points(self, name: str) -> Iterable[tuple[z3.ExprRef, ...]]:
        """Returns all arguments of a function."""
        return self.scope.tuples(self.system.symbols[name][:-1])

    def equal(self, name: str, one: Function, other: Function) -> Formula:
        return z3.And([one(*at) == other(*at) for at in self.points(name)])

    def extend(self) -> None:
        """Adds a moment. Once no step is taken, no later one is."""
        before, after = self.last, self.system.observable_state(self.scope, len(self.states))
        changed_by: dict[str, list[Formula]] = {name: [] for name in self.system.symbols}
        options = []
        for step in self.kinds:
            is_taken, parameters = z3.Bool(f"{step.name}@{len(self.states)}"), step.fresh_parameters()
            options.append((step, is_taken, parameters))
            result = step.taken(before, parameters)
            effects = [self.scope.contains(value) for value in parameters if z3.is_expr(value)] + result.required
            for name, function in result.changed().items():
                effects.append(self.equal(name, after.functions[name], function))
                changed_by[name].append(is_taken)
            self.known.append(z3.Implies(is_taken, z3.And(effects)))
        for name, steps in changed_by.items():
            self.known.append(z3.Or(*steps, self.equal(name, after.functions[name], before.functions[name])))
        flags = [is_taken for _, is_taken, _ in options]
        self.known.append(z3.AtMost(*flags, 1))
        if self.options:
            self.known.append(z3.Implies(z3.Or(flags), self.is_taken_at(-1)))
        self.states.append(after)
        self.options.append(options)

    def is_taken_at(self, moment: int, step: Step | None = None) -> Formula:
        """Returns that the step, or any step, is taken at a moment."""
        return z3.Or([is_taken for kind, is_taken, _ in self.options[moment] if step is None or kind is step])

    def reach(self, *formulas: Formula, limit: int = TRACE_LIMIT, seeds: int = SEEDS) -> Trace | None:
        """Returns steps that fulfil the formulas, which may be about the last state."""
        for seed in range(seeds):
            solver = z3.Solver()
            solver.set("rlimit", limit << seed // 4)
            solver.set("random_seed", seed)
            solver.add(self.known)
            solver.add(formulas)
            answer = solver.check()
            if answer != z3.unknown:
                return self.trace(solver.model()) if answer == z3.sat else None
        return None

    def reach_soon(self, formula: Formula) -> Trace | None:
        """Returns few steps that fulfil the formula, but not always as few as possible."""
        shortest = None
        trace = self.reach(formula)
        while trace is not None:
            shortest = trace
            # Fewer steps, of the same kinds.
            other = [
                is_taken for options in self.options for step, is_taken, _ in options if step.name not in trace.kinds
            ]
            too_many = self.is_taken_at(len(trace.steps) - 1)
            trace = self.reach(formula, z3.Not(z3.Or(other)), z3.Not(too_many), limit=SHORTER_LIMIT, seeds=1)
        return shortest

    def can_take(self, step: Step) -> bool:
        """Returns whether the step is possible at some moment."""
        return self.reach(z3.Or([self.is_taken_at(moment, step) for moment in range(len(self.options))])) is not None

    def trace(self, model: z3.ModelRef) -> Trace:
        elements = [element for elements in self.scope.elements.values() for element in elements]
        names = {str(model.eval(element)): str(element) for element in elements}
        steps, kinds = [], set()
        for options in self.options:
            for step, is_taken, parameters in options:
                if z3.is_true(model.eval(is_taken)):
                    values = [str(model.eval(value)) for value in parameters if z3.is_expr(value)]
                    kinds.add(step.name)
                    steps.append(f"{step.name}({', '.join(names.get(value, value) for value in values)})")
        return Trace(tuple(steps), frozenset(kinds))
