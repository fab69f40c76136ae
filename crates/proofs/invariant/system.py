"""Transition systems in first-order logic.

The state of a system is a set of functions over sorts, such as `version(key)`. A step is a Python function that states
what it requires and what it changes; everything else stays as it is. A formula is a Python function of a state. So the
same steps and formulas serve two scopes:

* `Unbounded`: the sorts have any number of elements, and `every` is a quantifier. The proof uses it.
* `Small`: each sort has a few named elements, and `every` is a conjunction. Traces of steps use it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import z3

Formula = z3.BoolRef
Sort = z3.SortRef
Function = Callable[..., Any]
# The sorts of the arguments, then the sort of the result.
Signature = tuple[Sort, ...]

Bool, Int, Real = z3.BoolSort(), z3.IntSort(), z3.RealSort()


class Unbounded:
    """Any number of elements of each sort."""

    def every(self, sorts: tuple[Sort, ...], body: Function) -> Formula:
        """Returns that `body` holds for all elements."""
        elements = [z3.FreshConst(sort, sort.name().lower()) for sort in sorts]
        return z3.ForAll(elements, body(*elements))


class Small(Unbounded):
    """A few elements of each sort, with names such as `load1`."""

    def __init__(self, sizes: dict[Sort, int]) -> None:
        self.elements = {
            sort: [z3.Const(f"{sort.name().lower()}{number + 1}", sort) for number in range(size)]
            for sort, size in sizes.items()
        }

    def every(self, sorts: tuple[Sort, ...], body: Function) -> Formula:
        return z3.And([body(*elements) for elements in self.tuples(sorts)])

    def tuples(self, sorts: Iterable[Sort]) -> Iterable[tuple[z3.ExprRef, ...]]:
        """Returns all combinations of elements of these sorts."""
        return itertools.product(*(self.elements[sort] for sort in sorts))

    def contains(self, value: z3.ExprRef) -> Formula:
        """Returns that `value` is one of the elements. Numbers and truth values are not limited."""
        elements = self.elements.get(value.sort())
        return z3.BoolVal(True) if elements is None else z3.Or([value == element for element in elements])

    def distinct(self) -> Formula:
        """Returns that no element has two names."""
        return z3.And([z3.Distinct(*elements) for elements in self.elements.values() if len(elements) > 1])


class State:
    """The functions of a system at one moment: `state.version(key)`."""

    def __init__(self, scope: Unbounded, functions: dict[str, Function]) -> None:
        self.scope = scope
        self.functions = functions

    def __getattr__(self, name: str) -> Function:
        try:
            return self.functions[name]
        except KeyError:
            raise AttributeError(f"the state has no function {name}") from None

    def every(self, *sorts_and_body: Any) -> Formula:
        """Returns that the last argument, a formula, holds for all elements of the sorts before it."""
        *sorts, body = sorts_and_body
        return self.scope.every(tuple(sorts), body)

    def some(self, *sorts_and_body: Any) -> Formula:
        """Returns that the last argument, a formula, holds for some elements of the sorts before it."""
        *sorts, body = sorts_and_body
        return z3.Not(self.scope.every(tuple(sorts), lambda *elements: z3.Not(body(*elements))))


class Change:
    """What a step changes in one function."""

    def __init__(self, function: Function) -> None:
        self.function = function

    def __setitem__(self, arguments: Any, value: Any) -> None:
        """Changes the value for these arguments."""
        point = arguments if isinstance(arguments, tuple) else (arguments,)
        before = self.function
        self.function = lambda *at: z3.If(z3.And([a == b for a, b in zip(at, point)]), value, before(*at))

    def becomes(self, value: Any) -> None:
        """Changes all values: to those of a Python function, or to a value if the function has no arguments."""
        self.function = value if callable(value) else lambda: value


def missing(*_: Any) -> Any:
    """Stands for a function that the state does not have."""
    raise AttributeError("the state has no such function")


class After:
    """The state after a step, and what the step requires of the state before."""

    def __init__(self, before: State) -> None:
        self.before = before
        self.required: list[Formula] = []
        self.changes: dict[str, Change] = {}

    def require(self, *conditions: Formula) -> None:
        self.required.extend(conditions)

    def __getattr__(self, name: str) -> Change:
        if name not in self.changes:
            self.changes[name] = Change(self.before.functions.get(name, missing))
        return self.changes[name]

    def changed(self) -> dict[str, Function]:
        """Returns the functions that the step changes, without those that the state before does not have."""
        return {name: change.function for name, change in self.changes.items() if name in self.before.functions}

    def state(self) -> State:
        """Returns the whole state after the step."""
        return State(self.before.scope, {**self.before.functions, **self.changed()})


@dataclass(frozen=True)
class PerElement:
    """A parameter of a step that has a value for each element of a sort."""

    sort: Sort
    value: Sort


@dataclass(frozen=True)
class Step:
    """An atomic step, for any values of its parameters."""

    name: str
    parameters: tuple[Sort | PerElement, ...]
    body: Function
    is_optional: bool = False

    def fresh_parameters(self) -> list[Any]:
        return [
            z3.FreshFunction(parameter.sort, parameter.value)
            if isinstance(parameter, PerElement)
            else z3.FreshConst(parameter, self.name)
            for parameter in self.parameters
        ]

    def taken(self, before: State, parameters: list[Any]) -> After:
        after = After(before)
        self.body(before, after, *parameters)
        return after


@dataclass(frozen=True)
class Clause:
    """A named formula about a state."""

    name: str
    body: Callable[[State], Formula]


@dataclass(frozen=True)
class Variant:
    """The protocol without a defence: what happens then, and where z3 looks for a violation.

    A trace has the optional steps that are named here, begins with the named steps, and has so many elements.
    """

    effect: str
    optional: tuple[str, ...] = ()
    begins_with: tuple[str, ...] = ()
    sizes: dict[Sort, int] = field(default_factory=dict)


def words(function: Function) -> str:
    """Returns the name of a Python function as words."""
    return function.__name__.replace("_", " ").strip()


@dataclass
class System:
    """A transition system with its invariant and its promises."""

    name: str
    symbols: dict[str, Signature]
    # Functions that no step and no promise looks at. Traces do without them.
    auxiliary: dict[str, Signature]
    steps: list[Step] = field(default_factory=list)
    initial: list[Clause] = field(default_factory=list)
    auxiliary_initial: list[Clause] = field(default_factory=list)
    invariant: list[Clause] = field(default_factory=list)
    promises: list[Clause] = field(default_factory=list)
    goals: list[Clause] = field(default_factory=list)

    def step(self, *parameters: Sort | PerElement, is_optional: bool = False) -> Callable[[Function], Function]:
        """Registers a function as a step: `def step(before, after, *parameters)`."""

        def register(body: Function) -> Function:
            self.steps.append(Step(words(body), parameters, body, is_optional))
            return body

        return register

    def optional(self, *parameters: Sort | PerElement) -> Callable[[Function], Function]:
        """Registers a step, such as a fault, that the trace of a variant has only if the variant names it."""
        return self.step(*parameters, is_optional=True)

    def initially(self, body: Function) -> Function:
        """Registers what holds in the initial state."""
        self.initial.append(Clause(words(body), body))
        return body

    def auxiliary_initially(self, body: Function) -> Function:
        """Registers what holds in the initial state for the functions that traces do without."""
        self.auxiliary_initial.append(Clause(words(body), body))
        return body

    def always(self, body: Function) -> Function:
        """Registers a clause of the invariant."""
        self.invariant.append(Clause(words(body), body))
        return body

    def promise(self, body: Function) -> Function:
        """Registers a formula that the invariant must imply."""
        self.promises.append(Clause(words(body), body))
        return body

    def goal(self, body: Function) -> Function:
        """Registers a formula that some state must fulfil, so that the proof is not about an empty set of states."""
        self.goals.append(Clause(words(body), body))
        return body

    def state(self, scope: Unbounded) -> State:
        """Returns a state about which nothing is known."""
        return declare({**self.symbols, **self.auxiliary}, scope, "")

    def observable_state(self, scope: Unbounded, number: int) -> State:
        """Returns the state at a moment of a trace, without what is for the invariant only."""
        return declare(self.symbols, scope, f"@{number}")


def declare(symbols: dict[str, Signature], scope: Unbounded, suffix: str) -> State:
    return State(scope, {name: z3.Function(name + suffix, *signature) for name, signature in symbols.items()})
