"""Leaving out what follows from other rules: values are followed from condition to condition."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from microplex.hierarchy.detect_coded import Clause, Key, Step


def prune(clauses: Sequence[Clause], given: Iterable[Step] = ()) -> list[Clause]:
    """Leave out clauses that follow from the others.

    Parameters
    ----------
    clauses : sequence of Clause
    given : iterable of steps
        What is known besides, such as the zeros that inequalities imply.

    Returns
    -------
    list of Clause
        In the order given. Of clauses that follow from each other, those on ages are kept first, then those on roles,
        then those with the most support; a clean one
        is not left out for one that is not.

    Examples
    --------
    >>> from microplex.hierarchy.rules import Implied
    >>> a, b, c = (((name, "zero"), frozenset([0])) for name in "abc")
    >>> found = [Clause("person", x, y, None, s, Implied(f"{x[0][0]} == 0", y[0][0], 0), True, (2, 2))
    ...          for x, y, s in ((a, b, 9.0), (b, c, 9.0), (a, c, 1.0))]
    >>> [str(clause.rule) for clause in prune(found)]
    ['a == 0 -> b == 0', 'b == 0 -> c == 0']
    """
    levels = domains(clauses)
    known = [step for step in given if all(key in levels for key, _ in step)]
    kept = dict.fromkeys(range(len(clauses)))
    steps = [(clause.when, clause.then) for clause in clauses]
    for place in sorted(kept, key=lambda i: _worth(clauses[i])):
        able = (i for i in kept if i != place and (clauses[i].clean or not clauses[place].clean))
        others = [steps[i] for i in able] + known
        if follows(steps[place], others, levels):
            del kept[place]
    return [clauses[place] for place in kept]


def follows(step: Step, others: Sequence[Step], levels: dict[Key, frozenset[int]]) -> bool:
    """Return whether one clause follows from others, each read both ways round.

    Examples
    --------
    >>> a, b = ("a", "zero"), ("b", "zero")
    >>> levels = {a: frozenset([0, 1]), b: frozenset([0, 1])}
    >>> one, other = ((a, frozenset([0])), (b, frozenset([0]))), ((b, frozenset([1])), (a, frozenset([1])))
    >>> follows(one, [other], levels)
    True
    """
    (when, inside), (then, wanted) = step
    possible = dict(levels)
    possible[when] = levels[when] & inside
    changed = True
    while changed:
        if possible[then] <= wanted:
            return True
        changed = False
        for (a, low), (b, high) in others:
            for (x, xs), (y, ys) in (((a, low), (b, high)), ((b, levels[b] - high), (a, levels[a] - low))):
                if possible[x] <= xs and not possible[y] <= ys:
                    possible[y] = possible[y] & ys
                    changed = True
    return False


def _worth(clause: Clause) -> tuple[int, int, float]:
    """Rank clauses: the last to be left out have the highest rank."""
    rank = 2 if clause.cut else 1 if clause.when[0][0] == "role" else 0
    return rank, -len(clause.then[1]), clause.score


def domains(clauses: Sequence[Clause]) -> dict[Key, frozenset[int]]:
    """Return the places of all levels of the columns that clauses speak of.

    Examples
    --------
    >>> domains([])
    {}
    """
    found: dict[Key, frozenset[int]] = {}
    for clause in clauses:
        for (key, _), size in zip((clause.when, clause.then), clause.sizes, strict=True):
            found[key] = frozenset(range(size))
    return found
