"""Several surveys with different samples, weights and variables as one population with all variables."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from microplex._progress import progress_bar
from microplex._random import row_keys
from microplex._validation import check_choice, check_seed
from microplex.constraints import Constraint, parse
from microplex.encoding import Settings, writing
from microplex.encoding import intake as rows_intake
from microplex.frames import Frame, assign, build_frame, column_names, frame_kind, select
from microplex.fusion.blocks import assumptions_of
from microplex.fusion.completing import Resampling, check_derived, complete_rows
from microplex.fusion.coupling import Links, link, read_association
from microplex.fusion.coverage import coverage
from microplex.fusion.harmonise import Harmonisation
from microplex.fusion.intake import (
    assign_constraints,
    check_options,
    check_whole,
    empty_rows,
    harmonised_frames,
    read_recipient,
    read_training,
)
from microplex.fusion.learning import Law, fit_law
from microplex.fusion.lifting import lift
from microplex.fusion.reading import Rows
from microplex.fusion.recipient import check_names, in_variables, training_ranges, warn_beyond
from microplex.fusion.report import Completed, FusionReport, provenance_of, reported, warn_few
from microplex.fusion.saving import pack_laws, unpack_fusion
from microplex.fusion.scoring import score_laws
from microplex.fusion.sensitivity import Bounds, bounds_of
from microplex.schema import Schema
from microplex.storage import SavedEstimator
from microplex.survey import ess

Association = float | Mapping[tuple[str, str], float]


class MultiSourceFusion(SavedEstimator):
    """Learn one population from several surveys, and complete files or generate rows with all variables.

    A product of conditional flows, one a block of targets that the same sources observe. A target is learnt given
    every earlier variable that some source observes together with it; rows of sources that lack such a variable enter
    with it unknown. What no source observes together is independent given what both are learnt with (the conditional
    independence assumption; Sims, 1972; D'Orazio, Di Zio and Scanu, 2006), stated in `assumptions_` and lifted where
    an auxiliary source, however small, observes both.

    Parameters
    ----------
    condition_vars : sequence of str, optional
        Common variables; those in every source by default. An empty list for none.
    target_vars : sequence of str, optional
        What to learn, in this order; all other variables by default.
    authority : mapping of str to str, optional
        The one source to learn a variable from, where several have it.
    harmonisation : Harmonisation, optional
        How the columns of the sources become variables.
    constraints : sequence of str or constraint objects, optional
        What holds on every row, within what some source observes together; see :func:`microplex.constraints.parse`.
    schema : Schema, optional
        What variables are; inferred from all sources where it is silent, missing values being answers not given.
    kinds : mapping of str to str, optional
        Kinds that would be guessed wrong, such as ``{"state": "categorical"}``.
    accepted : sequence of str
        Variables whose sources may differ in their values; see `check_agreement`.
    epochs : int, optional
        Passes over the data; by sample size if omitted.
    n_orders : int, optional
        Random orders of the targets of a block to try, as for `Synthesizer`.
    seed : int
        Seed of the fit.

    Attributes
    ----------
    coverage_ : Coverage
        Variables by sources.
    blocks_ : tuple of Block
        Which variables are learnt from whom, given what.
    assumptions_ : tuple of Assumption
        What is taken to be independent because no source observes it together.
    schema_ : Schema
    report_ : FusionReport

    Examples
    --------
    >>> import pandas as pd
    >>> age = np.arange(300) % 60 + 20
    >>> cps = pd.DataFrame({"age": age, "wages": 100 * (age * 7 % 50)})
    >>> acs = pd.DataFrame({"age": age, "rent": 10 * (age * 3 % 40)})
    >>> fusion = MultiSourceFusion(epochs=2, n_orders=0).fit({"cps": cps, "acs": acs})
    >>> print(fusion.assumptions_[0])
    wages (from cps) and rent (from acs) are independent given age: no source observes both.
    >>> fusion.complete(cps.head(3), seed=1).columns.tolist()
    ['age', 'wages', 'rent']
    """

    _kind = "MultiSourceFusion"

    def __init__(
        self,
        condition_vars: Sequence[str] | None = None,
        target_vars: Sequence[str] | None = None,
        *,
        authority: Mapping[str, str] | None = None,
        harmonisation: Harmonisation | None = None,
        constraints: Sequence[str | Constraint] | None = None,
        schema: Schema | None = None,
        kinds: Mapping[str, str] | None = None,
        accepted: Sequence[str] = (),
        epochs: int | None = None,
        n_orders: int | None = None,
        seed: int = 0,
    ) -> None:
        self.condition_vars = condition_vars
        self.target_vars = target_vars
        self.authority = authority
        self.harmonisation = harmonisation
        self.constraints = constraints
        self.schema = schema
        self.kinds = kinds
        self.accepted = accepted
        self.epochs = epochs
        self.n_orders = n_orders
        self.seed = seed

    def fit(
        self,
        sources: Mapping[str, Frame],
        weight_col: str | Mapping[str, str] | None = None,
        *,
        progress: bool | None = None,
    ) -> Self:
        """Learn from all sources.

        Parameters
        ----------
        sources : mapping of str to data frame
            At least two; pandas, polars or Arrow.
        weight_col : str or mapping of str to str, optional
            The weight column of all sources, or of each. With a harmonisation that names weights: none. Each source's
            weights are scaled to one population total; where several sources observe a block each counts by its
            effective sample size. Within a source a row of weight 3 is the row three times.
        progress : bool, optional
            Whether to show a progress bar; None for only on a terminal.

        Returns
        -------
        MultiSourceFusion
            The fitted estimator.

        Raises
        ------
        DataError, ColumnNotFoundError, SchemaError, ConstraintError, ParameterError
            If the input cannot be used; the message names source, variable, row and the remedy.

        Warns
        -----
        UserWarning
            If only some sources have weights, a common variable is called as weights are, amounts of other periods
            are not uprated, or few rows observe two blocks together.

        Examples
        --------
        >>> weighted = {"cps": cps.assign(w=2.0), "acs": acs.assign(w=3.0)}
        >>> MultiSourceFusion(epochs=1, n_orders=0).fit(weighted, "w").report_.effective_rows
        {'cps': 300.0, 'acs': 300.0}
        """
        check_options(self)
        frames, weight_of = harmonised_frames(sources, self.harmonisation, weight_col)
        data, blocks = read_training(self, frames, weight_of)
        rules = assign_constraints(parse(list(self.constraints or ())), blocks)
        settings = Settings(self.epochs, self.n_orders, seed=self.seed)
        laws: list[Law] = []
        with progress_bar("Fitting", progress) as update:
            for place, block in enumerate(blocks):
                warn_few(block, data)

                def partly(share: float, score: float | None, done: int = place) -> None:
                    update((done + share) / len(blocks), score)

                once = fit_law(block, [*block.known, *block.linked], data, rules[place], settings, partly)
                laws.append(lift(laws, once, data, rules[place], settings, partly))
        self.laws_, self.blocks_, self.schema_ = tuple(laws), blocks, data.schema
        self.ranges_ = training_ranges(data)
        self.sources_, self.frame_kind_ = data.names, frame_kind(next(iter(frames.values())))
        self.assumptions_ = assumptions_of(blocks)
        columns = {name: [v for v in self.schema_.names if v in column_names(f)] for name, f in frames.items()}
        self.coverage_ = coverage({name: select(f, columns[name]) for name, f in frames.items()})
        self.report_ = FusionReport(
            tuple(reported(law, data) for law in laws),
            self.assumptions_,
            {name: ess(data.weights[data.of([name])]) for name in data.names},
        )
        return self

    def complete(
        self,
        recipient: Frame,
        *,
        source: str | None = None,
        association: Association | None = None,
        seed: int = 0,
        id_col: str | None = None,
        tables: Mapping[str, Frame] | None = None,
        harmonised: bool = False,
    ) -> Any:
        """Complete a file: keep what it has, draw what it lacks.

        Parameters
        ----------
        recipient : data frame
            With the variables' names and codings; missing cells are drawn, other columns are carried along.
        source : str, optional
            Whose law to use where several sources observe a block; that of all together by default. With a
            harmonisation it also says that the recipient has the names and codes of that source's own file: it keeps
            its columns, and what is drawn is added in the variables' names.
        association : float or mapping of (str, str) to float, optional
            From -1 to 1: how far what no source observes together goes together, given the common variables. A number
            correlates the normal scores of each two such blocks, a mapping those of pairs of targets; 0 is conditional
            independence. The law of each block given the common variables stays as it is.
        seed : int
            Seed. A row depends on the model, the seed, its values and its key alone.
        id_col : str, optional
            Column whose values are the keys of the rows; their position by default.
        tables : mapping of str to data frame, optional
            Other tables that the harmonisation reads of that source.
        harmonised : bool
            The recipient has the variables' names and codes although a source is named.

        Returns
        -------
        data frame
            Of the kind given.

        Raises
        ------
        NotFittedError, DataError, ParameterError
            If the input cannot be used.

        Warns
        -----
        UserWarning
            If numbers lie far outside what was learnt from, a table of the harmonisation is not given, no joint law
            has the associations asked for, or there is nothing that they could move.

        Examples
        --------
        >>> fusion.complete(acs.head(2), seed=1).equals(fusion.complete(acs.head(9), seed=1).head(2))
        True
        """
        return self.complete_with_provenance(
            recipient, source=source, association=association, seed=seed, id_col=id_col, tables=tables,
            harmonised=harmonised,
        ).frame  # fmt: skip

    def complete_with_provenance(
        self,
        recipient: Frame,
        *,
        source: str | None = None,
        association: Association | None = None,
        seed: int = 0,
        id_col: str | None = None,
        first_row: int = 0,
        tables: Mapping[str, Frame] | None = None,
        harmonised: bool = False,
    ) -> Completed:
        """Complete a file and say of each cell where it comes from; see `complete`.

        Parameters
        ----------
        recipient, source, association, seed, id_col, tables, harmonised
            As for `complete`.
        first_row : int
            Position of the first row, for completing in chunks.

        Returns
        -------
        Completed

        Examples
        --------
        >>> done = fusion.complete_with_provenance(cps.head(3), seed=1)
        >>> print(done.provenance.summary())
        variable  observed  derived  imputed  absent
             age     1.000    0.000    0.000   0.000
           wages     1.000    0.000    0.000   0.000
            rent     0.000    0.000    1.000   0.000
        """
        self._check_fitted()
        seed, links = check_seed(seed), self._links(association)
        if source is not None:
            check_choice(source, self.sources_, "source")
        read = in_variables(self.harmonisation, recipient, source, tables, harmonised, self.schema_.names)
        rows = read_recipient(recipient if read is None else read, self.schema_)
        keys = rows_intake.keys_of(recipient, rows.n, id_col, check_whole(first_row, "first_row", 0))
        check_derived(self.laws_, rows)
        unnamed = self.harmonisation is not None and source is None and not harmonised
        warn_beyond(self.ranges_, rows, self.schema_, unnamed)
        names = [name for name in self.schema_.names if not rows.seen[name].all()]
        if read is not None and self.harmonisation is not None and source is not None:
            check_names(self.harmonisation, recipient, source, names)
        full, resampling = complete_rows(self.laws_, links, rows, keys, seed, source)
        if resampling.n_impossible:
            warnings.warn(
                f"{resampling.n_impossible} of {rows.n} rows observe what none of {resampling.n_draws} draws of what "
                "they lack agrees with; these draws ignore what came after them.",
                UserWarning,
                stacklevel=2,
            )
        frame = assign(recipient, writing.columns(self.schema_, full.values, names))
        return self._completed(frame, rows, source, resampling)

    def generate(
        self,
        n: int,
        *,
        source: str | None = None,
        association: Association | None = None,
        seed: int = 0,
        first_row: int = 0,
    ) -> Any:
        """Generate rows of a new population, common variables included.

        Parameters
        ----------
        n : int
            Number of rows; they count equally.
        source, association, seed
            As for `complete`.
        first_row : int
            Position of the first row, for generating in chunks.

        Returns
        -------
        data frame
            Of the kind of the first source.

        Examples
        --------
        >>> fusion.generate(3, seed=1).shape
        (3, 3)
        """
        return self.generate_with_provenance(
            n, source=source, association=association, seed=seed, first_row=first_row
        ).frame

    def generate_with_provenance(
        self,
        n: int,
        *,
        source: str | None = None,
        association: Association | None = None,
        seed: int = 0,
        first_row: int = 0,
    ) -> Completed:
        """Generate rows and say of each cell whose law it follows; see `generate`.

        Examples
        --------
        >>> fusion.generate_with_provenance(3, seed=1).provenance.summary().share("rent", "imputed", "acs")
        1.0
        """
        self._check_fitted()
        n, first_row = check_whole(n, "n", 1), check_whole(first_row, "first_row", 0)
        if source is not None:
            check_choice(source, self.sources_, "source")
        keys = row_keys(np.arange(first_row, first_row + n))
        rows = empty_rows(self.schema_, n)
        full, found = complete_rows(self.laws_, self._links(association), rows, keys, check_seed(seed), source)
        frame = build_frame(writing.columns(self.schema_, full.values, list(self.schema_.names)), self.frame_kind_)
        return self._completed(frame, rows, source, found)

    def log_prob(self, data: Frame) -> NDArray[np.float64]:
        """Log law of rows, under the assumptions stated.

        Parameters
        ----------
        data : data frame
            With every variable. Missing values count nothing and are unknown to what comes after.

        Returns
        -------
        ndarray of shape (n,)
            In nats, in the measure of :meth:`Synthesizer.log_prob`.

        Examples
        --------
        >>> bool(np.isfinite(fusion.log_prob(fusion.generate(5, seed=1))).all())
        True
        """
        self._check_fitted()
        return score_laws(self.laws_, data, self.schema_)

    def bounds(
        self, data: Frame, x: str, y: str, *, weight_col: str | None = None, n_draws: int = 200, seed: int = 0
    ) -> Bounds:
        """Bounds of the dependence of two variables that no source observes together.

        Parameters
        ----------
        data : data frame
            Rows with the common variables; other columns are not used.
        x, y : str
            Two numbers (bounds of their correlation) or two categories (Frechet bounds of the cells).
        weight_col : str, optional
            Survey weights.
        n_draws : int
            Draws of each law a row; the fewer, the narrower the bounds. The law of a category is exact given what is
            drawn before it, and altogether exact where nothing is.
        seed : int

        Returns
        -------
        CorrelationBounds or FrechetBounds

        Examples
        --------
        >>> found = fusion.bounds(cps[["age"]], "wages", "rent")
        >>> found.lower < found.independent < found.upper
        True
        """
        self._check_fitted()
        return bounds_of(self, data, x, y, weight_col, n_draws, check_seed(seed))

    def _pack(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        return pack_laws(self)

    @classmethod
    def _unpack(cls, content: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        return unpack_fusion(cls, content, arrays)

    def _completed(self, frame: Any, rows: Rows, source: str | None, resampling: Resampling) -> Completed:
        cells = provenance_of(self.laws_, rows, source)
        named = tuple(dict.fromkeys((*cells.sources, *self.sources_)))
        return Completed(frame, replace(cells, sources=named), resampling)

    def _links(self, association: Association | None) -> Links:
        if association is None:
            return Links.none()
        blocks = [law.targets for law in self.laws_]
        apart = [set(law.block.apart) for law in self.laws_]
        return link(blocks, read_association(association, blocks, apart))
