"""The imputer: every missing cell drawn given all that its row shows, several times over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from microplex._progress import progress_bar
from microplex._validation import check_choice, check_seed
from microplex.constraints import Constraint
from microplex.encoding import intake as rows_intake
from microplex.errors import DataError, ParameterError
from microplex.frames import Frame, check_frame, column_names, n_rows, read_column
from microplex.imputation.diagnostics import Diagnostics, diagnose
from microplex.imputation.fitting import fit_members
from microplex.imputation.intake import choose, describe
from microplex.imputation.model import prepare
from microplex.imputation.result import Imputed, shown
from microplex.imputation.saving import pack_model, unpack_model
from microplex.schema import Schema
from microplex.storage import SavedEstimator

PROPER = ("bootstrap", "ensemble", None)


class Imputer(SavedEstimator):
    """Fill the gaps of a file with draws from the law of what is missing given what is observed.

    A masked network learns the law of every column with gaps given the others, each row contributing what it shows;
    a missing cell is drawn given all observed cells of its row by conditional sequential Monte Carlo, so that any
    pattern of gaps is completed from one law. Several files are completed, each by a network of its own, so that the
    uncertainty of the fit enters (Rubin, 1987); :func:`combine` puts their estimates together.

    Parameters
    ----------
    target_vars : sequence of str, optional
        Columns whose gaps are to be filled; all but weight, ids and conditions if omitted.
    condition_vars : sequence of str, optional
        Columns that are only read; where one is missing it is unknown. If omitted where targets are named, all other
        columns but weight and ids of the schema; a warning names those that cannot be used or look like identifiers.
    m : int
        Completed files.
    structural : mapping, optional
        When a column does not apply, so that an empty cell is no gap: a condition such as ``{"wage": "age < 15"}``,
        or numbers that stand for it, such as ``{"rent": [-1]}``.
    constraints : sequence of str or constraint objects, optional
        What holds on every row; see :func:`microplex.constraints.parse`.
    schema : Schema, optional
        What the columns are; inferred where it is silent. A column whose missing values are a level is not imputed.
    kinds : mapping of str to str, optional
        Kinds of columns to take as given, where the schema is silent.
    proper : str or None
        "bootstrap": each file's network is fitted with Bayesian bootstrap weights (Rubin, 1981); "ensemble": with
        other initial weights; None: one network for all files, which understates the uncertainty.
    epochs : int, optional
        Passes over the data; by sample size if omitted.
    seed : int
        Seed of the fit.

    Attributes
    ----------
    schema_ : Schema
        What the columns are.
    imputed_vars_ : tuple of str
        Columns with gaps.
    model_ : Model
        Codes, constraints and networks, plain arrays.

    Examples
    --------
    >>> import pandas as pd
    >>> age = np.arange(300) % 60 + 20.0
    >>> wage = np.where(np.arange(300) % 4 == 0, np.nan, 100.0 * age + np.arange(300) * 37 % 900)
    >>> frame = pd.DataFrame({"age": age, "wage": wage})
    >>> imputer = Imputer(m=2, epochs=1)
    >>> done = imputer.fit_transform(frame, seed=1)
    >>> len(done), int(done[0]["wage"].isna().sum())
    (2, 0)
    """

    _kind = "Imputer"

    def __init__(
        self,
        target_vars: Sequence[str] | None = None,
        condition_vars: Sequence[str] | None = None,
        *,
        m: int = 5,
        structural: Mapping[str, str | Sequence[float]] | None = None,
        constraints: Sequence[str | Constraint] | None = None,
        schema: Schema | None = None,
        kinds: Mapping[str, str] | None = None,
        proper: str | None = "bootstrap",
        epochs: int | None = None,
        seed: int = 0,
    ) -> None:
        self.target_vars = target_vars
        self.condition_vars = condition_vars
        self.m = m
        self.structural = structural
        self.constraints = constraints
        self.schema = schema
        self.kinds = kinds
        self.proper = proper
        self.epochs = epochs
        self.seed = seed

    def fit(self, data: Frame, weight_col: str | None = None, *, progress: bool | None = None) -> Self:
        """Learn the law of the columns with gaps.

        Parameters
        ----------
        data : pandas, polars or Arrow table
            One row a record, with gaps.
        weight_col : str, optional
            Survey weights: in the law that is fitted a row of weight 3 counts as the row three times. The bootstrap
            takes a row as one unit that was sampled, whatever its weight.
        progress : bool, optional
            Whether to show a progress bar; None for only on a terminal.

        Returns
        -------
        Imputer
            The fitted estimator.

        Raises
        ------
        DataError, ColumnNotFoundError, SchemaError, ConstraintError, ParameterError
            If the input cannot be used; the message names the column, the row and the remedy.

        Warns
        -----
        UserWarning
            If only targets are named and one of the other columns cannot be a condition.

        Examples
        --------
        >>> Imputer(m=1, epochs=1).fit(frame).imputed_vars_  # the frame of the example above
        ('wage',)
        """
        self._check_parameters()
        form = choose(data, self.target_vars, self.condition_vars, self.structural, weight_col, self.schema)
        rows, weights = rows_intake.check_training(data, list(form.names), weight_col)
        schema = describe(data, form, self.schema, self.kinds)
        model, training = prepare(data, form, schema, self.constraints, rows, weights)
        if training is not None:
            with progress_bar("Fitting", progress) as update:
                members = fit_members(training, self.m, self.proper, self.epochs, self.seed, update)
            model = model.with_members(members)
        self.model_, self.schema_, self.imputed_vars_ = model, schema, model.imputed
        self.weight_col_ = weight_col
        self._data = data
        return self

    def transform(self, data: Frame | None = None, *, seed: int = 0, id_col: str | None = None) -> Imputed:
        """Complete a file `m` times.

        Parameters
        ----------
        data : pandas, polars or Arrow table, optional
            Rows with gaps; those of the fit if omitted.
        seed : int
            Seed. A row depends on the model, the seed, its observed cells and its key alone.
        id_col : str, optional
            Column whose values are the keys of the rows; their position by default.

        Returns
        -------
        Imputed
            Completed files with their masks.

        Raises
        ------
        NotFittedError, DataError, ColumnNotFoundError, ConstraintError, ParameterError
            If the input cannot be used, or observed cells contradict a constraint.

        Warns
        -----
        UserWarning
            If a row shows nothing at all: it is drawn from the law of all rows.

        Examples
        --------
        >>> part = imputer.transform(frame.head(8), seed=3)
        >>> bool((part[0]["wage"].head(8)[1:4] == frame["wage"].head(8)[1:4]).all())
        True
        """
        self._check_fitted()
        self._check_parameters()
        seed = check_seed(seed)
        if data is None:
            data = getattr(self, "_data", None)
            if data is None:
                raise ParameterError("transform needs a table: a loaded imputer holds no training rows.")
        check_frame(data)
        keys = rows_intake.keys_of(data, n_rows(data), id_col, 0)
        return self.model_.complete(data, self.m, keys, seed)

    def fit_transform(self, data: Frame, weight_col: str | None = None, *, seed: int = 0) -> Imputed:
        """Learn from a file and complete it.

        Parameters
        ----------
        data, weight_col
            As for :meth:`fit`.
        seed : int
            Seed of the draws.

        Returns
        -------
        Imputed

        Examples
        --------
        >>> Imputer(m=1, epochs=1).fit_transform(frame).masks["wage"][:5].tolist()
        [True, False, False, False, True]
        """
        return self.fit(data, weight_col).transform(seed=seed)

    def diagnostics(self, imputed: Imputed) -> Diagnostics:
        """Compare observed and drawn cells of every variable.

        Parameters
        ----------
        imputed : Imputed
            What :meth:`transform` gave.

        Returns
        -------
        Diagnostics
            Printable; ``to_frame`` for a table.

        Raises
        ------
        NotFittedError, DataError
            If nothing was fitted, or `imputed` is something else.

        Examples
        --------
        >>> found = imputer.diagnostics(done)
        >>> [v.variable for v in found.variables], found.variables[0].n_missing
        (['wage'], 75)
        """
        self._check_fitted()
        if not isinstance(imputed, Imputed):
            raise DataError(f"diagnostics needs what transform gave (Imputed), got {shown(imputed)}.")
        first = imputed[0]
        weights = np.ones(n_rows(first))
        if self.weight_col_ is not None and self.weight_col_ in column_names(first):
            read = read_column(first, self.weight_col_).values
            weights = weights if read is None else np.nan_to_num(read)
        return diagnose(imputed, self.schema_, weights)

    def _pack(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        content, arrays = pack_model(self.model_)
        content |= {"parameters": self._parameters("constraints", "schema"), "weight_col": self.weight_col_}
        return content, arrays

    @classmethod
    def _unpack(cls, content: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        model = unpack_model(content, arrays)
        self = cls(**content["parameters"])
        self.model_, self.schema_, self.imputed_vars_ = model, model.schema, model.imputed
        self.weight_col_ = content["weight_col"]
        self.constraints = None if model.encoder is None else model.encoder.plan.constraints or None
        return self

    def _check_parameters(self) -> None:
        check_seed(self.seed)
        for name, value in (("m", self.m), ("epochs", self.epochs)):
            if name == "epochs" and value is None:
                continue
            if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
                raise ParameterError(f"{name} must be a whole number of at least 1, got {value!r}.")
        check_choice(self.proper, PROPER, "proper")
