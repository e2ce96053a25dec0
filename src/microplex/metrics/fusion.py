"""A fused file against the holdout of every source: within each source, and across sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from microplex._validation import check_columns, check_seed
from microplex.errors import DataError, ParameterError, near_miss
from microplex.frames import Frame, check_frame, column_names, select
from microplex.metrics.evaluate import evaluate
from microplex.metrics.evaluation import Evaluation
from microplex.metrics.joint import correlation_matrix, ranks
from microplex.metrics.pair import Pair, pair
from microplex.metrics.record import Record
from microplex.survey import ess

Floats = NDArray[np.float64]

HEADLINES = ("coverage", "c2st_auc", "energy", "spearman_rms")
_SHOWN = 8


@dataclass(frozen=True)
class CrossDependence:
    """Rank correlation of two numbers that no holdout observes together.

    Parameters
    ----------
    variables : tuple of str
    sources : tuple of str
        The holdout of each.
    value : float
        In the synthetic rows.
    implied : float
        What the holdouts' rank correlations with the common numbers imply if what is left after these is unrelated.
    error : float
        Standard error of the difference, from the sizes of the tables.
    """

    variables: tuple[str, str]
    sources: tuple[str, str]
    value: float
    implied: float
    error: float


@dataclass(frozen=True, eq=False)
class FusionEvaluation:
    """Measures of a fused file against each source, and of what no source observes together.

    Parameters
    ----------
    sources : dict of str to Evaluation
        All measures on the variables of each holdout, each beside what fresh rows of that source score.
    cross : tuple of CrossDependence
        Dependence that no holdout can check.
    """

    sources: dict[str, Evaluation]
    cross: tuple[CrossDependence, ...]

    def select(self, source: str, measure: str) -> tuple[Record, ...]:
        """Return the records of a measure for a source.

        Raises
        ------
        ParameterError
            If there is no such source.
        """
        if source not in self.sources:
            raise ParameterError(f"no holdout is called {source!r}.{near_miss(source, self.sources)}")
        return self.sources[source].select(measure=measure)

    def coverage(self) -> dict[str, float]:
        """Return the coverage of each source's holdout as a share of that between two halves of it."""
        found = {}
        for source in self.sources:
            record = self.select(source, "coverage")[0]
            found[source] = record.value / record.floor if record.defined else float("nan")
        return found

    def to_frame(self) -> pd.DataFrame:
        """Return one row a measure of a source, as `Evaluation.frame` with the source before it."""
        tables = [found.frame.assign(source=source) for source, found in self.sources.items()]
        table = pd.concat(tables, ignore_index=True)
        return table[["source", *(name for name in table if name != "source")]]

    def cross_frame(self) -> pd.DataFrame:
        """Return one row a pair of variables that no source observes together."""
        columns = ("x", "y", "x source", "y source", "synthetic", "implied", "error")
        rows = [(*c.variables, *c.sources, c.value, c.implied, c.error) for c in self.cross]
        return pd.DataFrame(rows, columns=list(columns))

    def to_html(self) -> str:
        """Return the tables of measures as HTML, to be put in a page."""
        parts = [f"<h3>{_escaped(source)}</h3>\n{found.to_html()}" for source, found in self.sources.items()]
        if self.cross:
            table = self.cross_frame().to_html(index=False, float_format=lambda value: f"{value:.3f}", border=0)
            parts.append(f"<h3>Not observed together by any source</h3>\n{table}")
        return "\n".join(parts)

    def __str__(self) -> str:
        """Say the verdict on each source, then the strongest dependence across sources."""
        lines = []
        for source, found in self.sources.items():
            judged = [word for word in found.verdicts if word in ("as real", "near", "off")]
            share = judged.count("as real") / max(len(judged), 1)
            heads = [
                f"{r.measure} {r.value:.3f} (fresh {r.floor:.3f})" for m in HEADLINES for r in found.select(measure=m)
            ]
            lines.append(f"{source}: {share:.0%} of {len(judged)} measures as good as fresh rows; {', '.join(heads)}")
        if self.cross:
            lines.append(f"{len(self.cross)} pairs of numbers are observed together by no source; the strongest:")
            for c in sorted(self.cross, key=lambda c: -abs(c.value))[:_SHOWN]:
                lines.append(
                    f"  {c.variables[0]}, {c.variables[1]}: rank correlation {c.value:.3f}, "
                    f"{c.implied:.3f} +- {c.error:.3f} implied by the common variables"
                )
        return "\n".join(lines)


def evaluate_fusion(
    synthetic: Frame,
    holdouts: Mapping[str, Frame],
    weight_col: str | Mapping[str, str] | None = None,
    *,
    condition_vars: Sequence[str] = (),
    max_rows: int = 6_000,
    seed: int = 0,
) -> FusionEvaluation:
    """Judge a fused file by rows of every source that no model has seen.

    Parameters
    ----------
    synthetic : data frame
        The fused rows.
    holdouts : mapping of str to data frame
        For each source rows that were kept apart; the variables that the fused file has too are compared.
    weight_col : str or mapping of str to str, optional
        Survey weights of all holdouts, or of each; a synthetic table without this column has equal ones.
    condition_vars : sequence of str
        Variables that the fused rows took from real ones.
    max_rows, seed
        As for `evaluate`.

    Returns
    -------
    FusionEvaluation

    Raises
    ------
    DataError, ColumnNotFoundError, ParameterError
        If there is no holdout, or one shares no variable with the fused file.
    ImportError
        If scikit-learn is not installed: ``pip install "microplex[report]"``.

    Examples
    --------
    >>> draw = np.random.default_rng(0)
    >>> real = pd.DataFrame({"age": draw.integers(20, 60, 300), "wages": draw.lognormal(10, 1, 300), "rent": 1.0})
    >>> found = evaluate_fusion(real, {"cps": real[["age", "wages"]], "acs": real[["age", "rent"]]})
    >>> [(c.variables, c.sources) for c in found.cross]
    [(('wages', 'rent'), ('cps', 'acs'))]
    """
    seed = check_seed(seed)
    check_frame(synthetic)
    if not isinstance(holdouts, Mapping) or not holdouts:
        raise ParameterError('holdouts must map sources to tables, such as {"cps": ..., "acs": ...}.')
    weights = {s: weight_col.get(s) if isinstance(weight_col, Mapping) else weight_col for s in holdouts}
    for source in weight_col if isinstance(weight_col, Mapping) else ():
        check_columns(list(holdouts), [source], "weight_col: source")
    have, evaluations, pairs = column_names(synthetic), {}, {}
    for source, holdout in holdouts.items():
        check_frame(holdout)
        weight = weights[source]
        if weight is not None:
            check_columns(column_names(holdout), [weight], f"weight of holdout {source!r}:")
        names = [name for name in column_names(holdout) if name in have and name != weight]
        if not names:
            raise DataError(f"holdout {source!r} shares no variable with the fused file, which has {', '.join(have)}.")
        given = [name for name in condition_vars if name in names]
        kept = [*names, *([weight] if weight in have else [])]
        drawn = select(synthetic, [str(name) for name in kept])
        real = select(holdout, [*names, *([weight] if weight is not None else [])])
        evaluations[source] = evaluate(
            real, drawn, given, [v for v in names if v not in given], weight,
            predictions=False, max_rows=max_rows, seed=seed,
        )  # fmt: skip
        pairs[source] = pair(real, drawn, names, weight)
    return FusionEvaluation(evaluations, _cross(synthetic, pairs))


def _cross(synthetic: Frame, pairs: Mapping[str, Pair]) -> tuple[CrossDependence, ...]:
    """Every two numbers of which no holdout has both, the first holdout of each."""
    numbers = {source: [v.name for v in both.variables if v.is_number] for source, both in pairs.items()}
    home: dict[str, str] = {}
    for source, names in numbers.items():
        for name in names:
            home.setdefault(name, source)
    found = []
    for x, y in combinations(home, 2):
        if any(x in names and y in names for names in numbers.values()):
            continue
        a, b = pairs[home[x]], pairs[home[y]]
        common = [v for v in numbers[home[x]] if v in numbers[home[y]]]
        value = _ranked(pair(synthetic, synthetic, [x, y]), [x, y])[0, 1]
        found.append(
            CrossDependence((x, y), (home[x], home[y]), float(value), _implied(a, b, x, y, common), _error(a, b))
        )
    return tuple(found)


def _implied(a: Pair, b: Pair, x: str, y: str, common: Sequence[str]) -> float:
    """Rank correlation of x and y if what the common numbers leave of them linearly is unrelated."""
    if not common:
        return 0.0
    one, other = _ranked(a, [x, *common]), _ranked(b, [y, *common])
    middle = 0.5 * (one[1:, 1:] + other[1:, 1:])
    solved = np.linalg.lstsq(np.nan_to_num(middle), np.nan_to_num(other[0, 1:]), rcond=None)[0]
    return float(np.clip(np.nan_to_num(one[0, 1:]) @ solved, -1.0, 1.0))


def _ranked(both: Pair, names: Sequence[str]) -> Floats:
    columns = np.column_stack([ranks(both[name].real, both.real_weights) for name in names])
    return correlation_matrix(columns, both.real_weights)


def _error(a: Pair, b: Pair) -> float:
    return float(np.sqrt(1 / ess(a.real_weights) + 1 / ess(b.real_weights) + 1 / ess(a.synthetic_weights)))


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
