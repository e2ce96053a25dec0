"""The conditional synthesizer: P(targets | conditions) as an autoregressive flow over mixed variables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from microplex._progress import progress_bar
from microplex._validation import check_seed
from microplex.constraints import Constraint, Plan
from microplex.encoding import (
    ConditionalLaw,
    Encoder,
    FitReport,
    Values,
    arrays_under,
    fit_model,
    intake,
    pack,
    sample_rows,
    score_rows,
    unpack,
    writing,
)
from microplex.errors import ParameterError
from microplex.frames import Frame, assign, build_frame, check_frame, frame_kind, n_rows
from microplex.schema import Schema
from microplex.storage import SavedEstimator

TARGET_STREAM, CONDITION_STREAM = 1, 2


class Synthesizer(SavedEstimator):
    """Learn the law of target variables given condition variables, and generate from it.

    A triangular (Knothe-Rosenblatt) flow: each target in turn follows a distribution function given the
    conditions and the targets before it, with jumps at point masses (Rosenblatt, 1952; Germain et al., 2015;
    Durkan et al., 2019). Its inverse generates, its density is the exact likelihood.

    Parameters
    ----------
    target_vars : sequence of str
        Columns to generate.
    condition_vars : sequence of str
        Columns that are given; none for an unconditional law.
    constraints : sequence of str or constraint objects, optional
        What holds on every generated row, such as ``"a <= b"``, ``"total == a + b"`` or
        ``"age < 15 -> wage == 0"``; see :func:`microplex.constraints.parse`.
    schema : Schema, optional
        What the columns are; inferred where it is silent.
    epochs : int, optional
        Passes over the data; by sample size if omitted.
    n_orders : int, optional
        Random orders of the targets to try besides the given one; by default 8 below 8,000 rows, else none.
    min_rows : int
        An exact value is generated as such only if at least so many training rows share it.
    fit_conditions : bool
        Also learn the law of the conditions, for ``generate(n=...)``.
    seed : int
        Seed of the fit.

    Attributes
    ----------
    schema_ : Schema
        What the columns are.
    encoder_, ensemble_
        The fitted model: codes and networks, plain arrays.
    report_ : FitReport
        What the fit did.
    condition_law_ : Synthesizer or None
        Law of the conditions.

    Examples
    --------
    >>> import pandas as pd
    >>> age = np.arange(400) % 62 + 18
    >>> wage = np.where(age > 65, 0, 100 * (np.arange(400) * 37 % 300 + 1))
    >>> owner = np.where(np.arange(400) % 3 == 0, "yes", "no")
    >>> frame = pd.DataFrame({"age": age, "wage": wage, "owner": owner})
    >>> synth = Synthesizer(["wage", "owner"], ["age"], epochs=2, n_orders=0).fit(frame)
    >>> synth.generate(frame[["age"]].head(3), seed=1).columns.tolist()
    ['age', 'wage', 'owner']
    """

    _kind = "Synthesizer"

    def __init__(
        self,
        target_vars: Sequence[str],
        condition_vars: Sequence[str] = (),
        constraints: Sequence[str | Constraint] | None = None,
        *,
        schema: Schema | None = None,
        epochs: int | None = None,
        n_orders: int | None = None,
        min_rows: int = 3,
        fit_conditions: bool = False,
        seed: int = 0,
    ) -> None:
        self.target_vars = target_vars
        self.condition_vars = condition_vars
        self.constraints = constraints
        self.schema = schema
        self.epochs = epochs
        self.n_orders = n_orders
        self.min_rows = min_rows
        self.fit_conditions = fit_conditions
        self.seed = seed

    def fit(self, data: Frame, weight_col: str | None = None, *, progress: bool | None = None) -> Self:
        """Learn from a survey.

        Parameters
        ----------
        data : pandas, polars or Arrow table
            One row a record.
        weight_col : str, optional
            Survey weights: a row of weight 3 counts as the row three times.
        progress : bool, optional
            Whether to show a progress bar; None for only on a terminal.

        Returns
        -------
        Synthesizer
            The fitted estimator.

        Raises
        ------
        DataError, ColumnNotFoundError, SchemaError, ConstraintError, ParameterError
            If the input cannot be used; the message names the column, the row and the remedy.

        Examples
        --------
        >>> survey = frame.assign(weight=2.0)  # the frame of the example above
        >>> Synthesizer(["wage"], ["age"], epochs=1, n_orders=0).fit(survey, weight_col="weight").report_.n_rows
        400
        """
        check_seed(self.seed)
        targets, conditions = intake.check_roles(self.target_vars, self.condition_vars, weight_col)
        rows, weights = intake.check_training(data, [*conditions, *targets], weight_col)
        schema = intake.complete_schema(self.schema, data, [*conditions, *targets], weight_col)
        values = intake.read_training(data, schema, targets, rows)
        plan = Plan.build(self.constraints, targets, conditions, values, schema)
        encoder = Encoder.fit(schema, plan, values, weights, self.min_rows)
        with progress_bar("Fitting", progress) as update:
            self.ensemble_, self.report_ = fit_model(
                encoder, values, weights, self.epochs, self.n_orders, self.seed, update
            )
        self.schema_, self.encoder_, self.frame_kind_ = schema, encoder, frame_kind(data)
        self.condition_law_ = self._fit_condition_law(data, weight_col, schema)
        return self

    def generate(
        self,
        conditions: Frame | None = None,
        n: int | None = None,
        *,
        seed: int = 0,
        id_col: str | None = None,
        first_row: int = 0,
    ) -> Any:
        """Generate the targets.

        Parameters
        ----------
        conditions : pandas, polars or Arrow table, optional
            Rows to complete; other columns are carried along.
        n : int, optional
            Rows to generate where there are no conditions, or their law was fitted.
        seed : int
            Seed. A row depends on the model, the seed, its conditions and its key alone.
        id_col : str, optional
            Column whose values are the keys of the rows; their position by default.
        first_row : int
            Position of the first row, for generating in chunks.

        Returns
        -------
        table
            Of the kind given (or of the training data): the conditions with the targets.

        Raises
        ------
        NotFittedError, DataError, ColumnNotFoundError, ConstraintError, ParameterError
            If the input cannot be used.

        Examples
        --------
        >>> new = frame[["age"]].head(6)
        >>> whole = synth.generate(new, seed=1)
        >>> part = synth.generate(new.tail(2), seed=1, first_row=4)
        >>> part.equals(whole.tail(2))
        True
        """
        self._check_fitted()
        seed = check_seed(seed)
        size = self._size(conditions, n)
        keys = intake.keys_of(conditions, size, id_col, first_row)
        encoder = self.encoder_
        if conditions is not None:
            values = intake.read_conditions(conditions, encoder)
        elif self.condition_law_ is not None:
            values = _sample(self.condition_law_, {}, keys, seed, CONDITION_STREAM)
        else:
            values = {}
        values |= _sample(self, values, keys, seed, TARGET_STREAM)
        if conditions is not None:
            return assign(conditions, writing.columns(encoder.schema, values, encoder.plan.targets))
        names = [*encoder.conditions, *encoder.plan.targets]
        return build_frame(writing.columns(encoder.schema, values, names), self.frame_kind_)

    def generate_with_hierarchy(
        self,
        conditions: Frame,
        household_id: str,
        shared_vars: Sequence[str] = (),
        relationship_constraints: Any = None,
        *,
        seed: int = 0,
        **options: Any,
    ) -> Any:
        """Generate persons, and enforce what must hold within their households.

        Repairs impossible households, not dependence between members: for that, see `HierarchicalSynthesizer`.

        Parameters
        ----------
        conditions : pandas, polars or Arrow table
            A row for each person.
        household_id : str
            Column of `conditions` with the household.
        shared_vars : sequence of str
            Variables with one value in each household.
        relationship_constraints, **options
            As for `microplex.enforce_hierarchy`.
        seed : int
            Seed.

        Returns
        -------
        table
            Of the kind given.

        Raises
        ------
        NotFittedError, DataError, ConstraintError, ParameterError
            If the input cannot be used, or the rules contradict each other.

        Examples
        --------
        >>> people = frame[["age"]].head(4).assign(household_id=[1, 1, 2, 2])
        >>> flat = synth.generate_with_hierarchy(people, "household_id", shared_vars=["owner"], seed=1)
        >>> flat.groupby("household_id")["owner"].nunique().tolist()
        [1, 1]
        """
        from microplex.hierarchy.enforce import generate_with_hierarchy

        return generate_with_hierarchy(
            self, conditions, household_id, shared_vars, relationship_constraints, seed=seed, **options
        )

    def log_prob(self, data: Frame) -> NDArray[np.float64]:
        """Exact log law of the targets of each row given its conditions.

        Parameters
        ----------
        data : pandas, polars or Arrow table
            Conditions and targets, in original units.

        Returns
        -------
        ndarray of shape (n,)
            In nats, with respect to counting measure on point masses, categories and grids (columns whose
            values are multiples of a resolution) and Lebesgue measure elsewhere; ``-inf`` for impossible
            rows. Missing targets count nothing, unless missing is a level of its own.

        Examples
        --------
        >>> impossible = frame.head(2).assign(wage=[100, 0.5])
        >>> np.isfinite(synth.log_prob(impossible)).tolist()
        [True, False]
        """
        self._check_fitted()
        values = intake.read_row(data, self.encoder_)
        return score_rows(self.encoder_, self.ensemble_, values, n_rows(data))

    def cdf(self, data: Frame, variable: str, at: ArrayLike) -> NDArray[np.float64]:
        """P(variable <= at | row), given the conditions and the other targets that `data` holds.

        Parameters
        ----------
        data : pandas, polars or Arrow table
            Conditions and any other targets; targets that are absent or missing are unknown.
        variable : str
            A numeric target.
        at : float or array_like of shape (n,)
            Where, in original units.

        Returns
        -------
        ndarray of shape (n,)
            Probabilities, given that the value is not missing.

        Examples
        --------
        >>> p = synth.cdf(frame.head(2), "wage", at=[-1.0, 1e9])
        >>> p.round(3).tolist()
        [0.0, 1.0]
        """
        return self._conditional(data, variable).cdf(at)

    def quantile(self, data: Frame, variable: str, q: float | Sequence[float]) -> NDArray[np.float64]:
        """Quantiles of one numeric target given the row, as for :meth:`cdf`.

        Parameters
        ----------
        data, variable
            As for :meth:`cdf`.
        q : float or sequence of float
            Probabilities strictly between 0 and 1.

        Returns
        -------
        ndarray of shape (n,) or (n, len(q))
            In original units.

        Examples
        --------
        >>> synth.quantile(frame.head(2), "wage", [0.05, 0.5, 0.95]).shape
        (2, 3)
        """
        return self._conditional(data, variable).quantile(q)

    def sample(self, data: Frame, variable: str, n_draws: int = 1, *, seed: int = 0) -> NDArray[Any]:
        """Draw one target given the row, as for :meth:`cdf`.

        Parameters
        ----------
        data, variable
            As for :meth:`cdf`; the target may be categorical.
        n_draws : int
            Draws a row.
        seed : int
            Seed.

        Returns
        -------
        ndarray of shape (n, n_draws)
            In original units.

        Examples
        --------
        >>> synth.sample(frame.head(2), "wage", 5, seed=1).shape
        (2, 5)
        """
        keys = intake.keys_of(data, n_rows(data), None, 0)
        return self._conditional(data, variable).sample(n_draws, check_seed(seed), keys)

    def probabilities(self, data: Frame, variable: str) -> Any:
        """Probability of each level of a categorical target given the row, as for :meth:`cdf`.

        Parameters
        ----------
        data, variable
            As for :meth:`cdf`.

        Returns
        -------
        table
            Of the kind given, one column a level.

        Examples
        --------
        >>> synth.probabilities(frame.head(2), "owner").sum(axis=1).round(6).tolist()
        [1.0, 1.0]
        """
        return build_frame(dict(self._conditional(data, variable).probabilities()), data)

    def _fit_condition_law(self, data: Frame, weight_col: str | None, schema: Schema) -> Synthesizer | None:
        if not self.fit_conditions or not self.condition_vars:
            return None
        law = Synthesizer(
            list(self.condition_vars), schema=schema, epochs=self.epochs, n_orders=self.n_orders,
            min_rows=self.min_rows, seed=self.seed,
        )  # fmt: skip
        return law.fit(data, weight_col, progress=False)

    def _size(self, conditions: Frame | None, n: int | None) -> int:
        if conditions is not None:
            if n is not None:
                raise ParameterError("give either conditions or n, not both.")
            check_frame(conditions)
            return n_rows(conditions)
        if self.encoder_.conditions and self.condition_law_ is None:
            raise ParameterError(
                f"generate needs a table with {', '.join(self.encoder_.conditions)}: the law of the conditions was "
                "not fitted. Pass one, or fit with Synthesizer(..., fit_conditions=True)."
            )
        if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or n < 1:
            raise ParameterError(f"n must be a positive whole number of rows, got {n!r}.")
        return int(n)

    def _conditional(self, data: Frame, variable: str) -> ConditionalLaw:
        self._check_fitted()
        values = intake.read_row(data, self.encoder_, variable)
        return ConditionalLaw(self.encoder_, self.ensemble_, values, variable, n_rows(data))

    def _pack(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        content, arrays = pack(self.encoder_, self.ensemble_)
        content["parameters"] = self._parameters("constraints", "schema")
        content["report"] = asdict(self.report_)
        content["frame_kind"] = self.frame_kind_
        if self.condition_law_ is not None:
            content["condition_law"], inner = self.condition_law_._pack()
            arrays |= {f"condition_law.{name}": a for name, a in inner.items()}
        return content, arrays

    @classmethod
    def _unpack(cls, content: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        self = cls(**content["parameters"])
        self.encoder_, self.ensemble_ = unpack(content, arrays)
        self.report_ = FitReport.from_dict(content["report"])
        self.frame_kind_ = content["frame_kind"]
        inner = content.get("condition_law")
        rest = arrays_under(arrays, "condition_law.")
        self.condition_law_ = None if inner is None else Synthesizer._unpack(inner, rest)
        self.schema_ = self.encoder_.schema
        self.constraints = self.encoder_.plan.constraints or None
        return self


def _sample(model: Synthesizer, values: Values, keys: NDArray[np.uint64], seed: int, stream: int) -> Values:
    """Modelled and derived targets of one model."""
    encoder = model.encoder_
    drawn = sample_rows(encoder, model.ensemble_, values, keys, seed, stream)
    return drawn | encoder.plan.derive(values | drawn)
