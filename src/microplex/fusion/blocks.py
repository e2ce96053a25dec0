"""Which variable is learnt from which sources, and given which others: the plan of a fusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from microplex.errors import DataError, ParameterError, near_miss


@dataclass(frozen=True)
class Block:
    """Targets that the same sources observe, and what they are learnt given.

    Parameters
    ----------
    targets : tuple of str
    sources : tuple of str
        Who observes them; their rows train the block.
    known : tuple of str
        Earlier variables that every row of these sources may observe.
    linked : tuple of str
        Earlier variables that some of these sources observe: known on part of the rows.
    apart : tuple of str
        Earlier variables that none of these sources observes: independent of the targets given the others.
    """

    targets: tuple[str, ...]
    sources: tuple[str, ...]
    known: tuple[str, ...] = ()
    linked: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its targets in short."""
        shown = ", ".join(self.targets[:3])
        return shown if len(self.targets) <= 3 else f"{shown} and {len(self.targets) - 3} more"


@dataclass(frozen=True)
class Assumption:
    """Two groups of variables that no source observes together, taken to be independent given others.

    Parameters
    ----------
    first, second : tuple of str
        The variables.
    given : tuple of str
        The common variables given which independence is assumed.
    first_sources, second_sources : tuple of str
        Who observes them.

    Examples
    --------
    >>> print(Assumption(("wages",), ("gains",), ("age",), ("cps",), ("tax",)))
    wages (from cps) and gains (from tax) are independent given age: no source observes both.
    """

    first: tuple[str, ...]
    second: tuple[str, ...]
    given: tuple[str, ...]
    first_sources: tuple[str, ...]
    second_sources: tuple[str, ...]

    def __str__(self) -> str:
        """Say it in words."""
        sides = [
            f"{', '.join(names)} (from {', '.join(sources)})"
            for names, sources in ((self.first, self.first_sources), (self.second, self.second_sources))
        ]
        given = f" given {', '.join(self.given)}" if self.given else ""
        return f"{sides[0]} and {sides[1]} are independent{given}: no source observes both."


def find_sources(
    observed: Mapping[str, Sequence[str]], wanted: Sequence[str], authority: Mapping[str, str] | None = None
) -> dict[str, tuple[str, ...]]:
    """Return the sources of each variable.

    Parameters
    ----------
    observed : mapping of str to sequence of str
        Variables of each source.
    wanted : sequence of str
        The variables asked for.
    authority : mapping of str to str, optional
        The one source to learn a variable from.

    Raises
    ------
    DataError
        If a variable is in no source, or not in the source named its authority.
    ParameterError
        If an authority is no source, or for no variable.

    Examples
    --------
    >>> find_sources({"cps": ["age", "wages"], "tax": ["age", "gains"]}, ["age", "gains"])
    {'age': ('cps', 'tax'), 'gains': ('tax',)}
    """
    authority = dict(authority or {})
    everything = list(dict.fromkeys(name for names in observed.values() for name in names))
    for name, source in authority.items():
        if source not in observed:
            raise ParameterError(
                f"authority[{name!r}] is {source!r}, which is no source.{near_miss(str(source), observed)} "
                f"Sources: {', '.join(observed)}."
            )
        if name not in wanted:
            raise ParameterError(
                f"authority names {name!r}, which is not among the variables.{near_miss(name, wanted)}"
            )
    found = {}
    for name in wanted:
        having = tuple(source for source, names in observed.items() if name in names)
        if not having:
            held = "; ".join(f"{source}: {', '.join(names)}" for source, names in observed.items())
            raise DataError(f"variable {name!r} is in no source.{near_miss(name, everything)} They hold: {held}.")
        if name in authority and authority[name] not in having:
            raise DataError(
                f"the authority for {name!r} is {authority[name]!r}, which does not observe it; "
                f"{', '.join(having)} does. Name one of those."
            )
        found[name] = (authority[name],) if name in authority else having
    return found


def plan_blocks(
    sources_of: Mapping[str, tuple[str, ...]], condition_vars: Sequence[str], target_vars: Sequence[str]
) -> tuple[Block, ...]:
    """Group variables by who observes them and decide what each group is learnt given.

    The common variables come first, then the targets with the most sources; ties in the order given. A target is
    given an earlier variable exactly if some source observes both.

    Parameters
    ----------
    sources_of : mapping of str to tuple of str
        From `find_sources`.
    condition_vars : sequence of str
        Common variables; they form the first block (absent if there are none).
    target_vars : sequence of str

    Returns
    -------
    tuple of Block

    Examples
    --------
    >>> sources = {"age": ("cps", "tax", "aux"), "wages": ("cps", "aux"), "gains": ("tax", "aux"), "rent": ("cps",)}
    >>> for block in plan_blocks(sources, ["age"], ["wages", "gains", "rent"]):
    ...     print(block.targets, block.known, block.linked, block.apart)
    ('age',) () () ()
    ('wages',) ('age',) () ()
    ('gains',) ('age',) ('wages',) ()
    ('rent',) ('age', 'wages') () ('gains',)
    """
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in target_vars:
        groups.setdefault(sources_of[name], []).append(name)
    ordered = sorted(groups.items(), key=lambda item: -len(item[0]))
    parts = [(tuple(names), found) for found, names in ordered]
    if condition_vars:
        common = tuple(dict.fromkeys(s for name in condition_vars for s in sources_of[name]))
        parts.insert(0, (tuple(condition_vars), common))
    blocks: list[Block] = []
    for names, found in parts:
        earlier = [name for block in blocks for name in block.targets]
        known = tuple(v for v in earlier if set(found) <= set(sources_of[v]))
        apart = tuple(v for v in earlier if not set(found) & set(sources_of[v]))
        linked = tuple(v for v in earlier if v not in known and v not in apart)
        blocks.append(Block(names, found, known, linked, apart))
    return tuple(blocks)


def assumptions_of(blocks: Sequence[Block]) -> tuple[Assumption, ...]:
    """Return the pairs of blocks whose independence is assumed, not learnt.

    Examples
    --------
    >>> sources = {"age": ("cps", "tax"), "wages": ("cps",), "gains": ("tax",)}
    >>> [str(a) for a in assumptions_of(plan_blocks(sources, ["age"], ["wages", "gains"]))]
    ['wages (from cps) and gains (from tax) are independent given age: no source observes both.']
    """
    found = []
    for place, block in enumerate(blocks):
        for other in blocks[:place]:
            apart = tuple(name for name in other.targets if name in block.apart)
            if apart:
                shared = {*other.known, *other.linked}
                given = tuple(v for v in (*block.known, *block.linked) if v in shared)
                found.append(Assumption(apart, block.targets, given, other.sources, block.sources))
    return tuple(found)
