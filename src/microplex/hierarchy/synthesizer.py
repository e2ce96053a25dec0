"""The hierarchical synthesizer: households, then who is in them, then what each member is like."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from microplex._progress import progress_bar
from microplex._validation import check_choice, check_seed
from microplex.encoding import Settings
from microplex.entities import Hierarchy, Population
from microplex.errors import ParameterError
from microplex.frames import Frame, assign, column_names, read_column
from microplex.hierarchy.building import build_population
from microplex.hierarchy.drawing import draw, draw_compositions, draw_from_donors, score
from microplex.hierarchy.groups import draw_groups, fit_groups, pack_groups, score_groups, unpack_groups, with_groups
from microplex.hierarchy.intake import prepare, read_given, read_whole
from microplex.hierarchy.law import HouseholdReport, fit_law, report_of
from microplex.hierarchy.saving import pack_law, unpack_law
from microplex.reweighter import Reweighter
from microplex.storage import SavedEstimator, load_model, refusing_damage
from microplex.targets import ReweightResult

STRUCTURES = ("model", "donor")


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A population with calibrated weights.

    Attributes
    ----------
    population : Population
        Its households carry the weights.
    result : ReweightResult
        Which targets are met, and how.
    """

    population: Population
    result: ReweightResult


class HierarchicalSynthesizer(SavedEstimator):
    """Learn the law of whole households, and generate from it.

    A household's composition (how many members of each role) is drawn first, then its static variables and the age of
    its head, the ages of the other members in canonical order, everything else of each member given the household,
    the head, the head's partner, the previous member of the role and running totals, then the household's outcomes.
    Groups between the two (tax units, families) are drawn last, each by itself: who is with whom, in which role, and
    what the group is like. Sums and counts over members and groups are derived. Each step is a conditional flow
    (`Synthesizer`), so that the likelihood of a household is exact.

    Parameters
    ----------
    levels : Hierarchy, or mapping of str to mapping
        A schema, whose tables are then generated whole; or for each level ``target_vars``, at the top also
        ``condition_vars`` (given when generating) and ``outcome_vars`` (drawn after the members), below it
        ``parent_level``, ``condition_vars`` (household variables that members depend on) and for members
        ``structure_vars`` (drawn with the ages; ``sex`` or ``gender`` by default). A group between the two is directly
        within the household, whatever the ``parent_level`` of members; it may have a ``rule``, a function that takes
        a table of the members of whole households and gives the number of each one's group in the household, instead
        of a learned partition.
    schema : Hierarchy, optional
        What the entities are, besides a dictionary of levels: roles, keys, weights.
    constraints : DetectedConstraints or sequence, optional
        Rules (`microplex.hierarchy.rules`), texts such as ``"age < 15 -> wage == 0"`` or dictionaries; what
        `detect_constraints` finds to hold exactly unless given; ``()`` for none.
    kinds : mapping of str to str, optional
        Kinds of columns that would be guessed wrong: ``{"marital_status": "categorical"}`` for codes.
    age_col : str or None
        Age of members in years; None, or a column that is not there, for no order by age.
    structure : {"model", "donor"}
        Whether compositions, ages and static variables are drawn from their law, or copied from training households,
        for very small samples; a copied structure has no likelihood and is not saved.
    epochs, n_orders, min_rows
        Of each stage, as for `Synthesizer`.
    seed : int
        Seed of the fit.

    Attributes
    ----------
    report_ : HouseholdReport
        What the fit did: stages, rules, whether structure is copied.
    law_, form_
        The fitted law, plain arrays, and how tables are written.
    groups_
        The laws of the groups between household and members, given these.

    Notes
    -----
    Ages stay within those seen for the role; where 1,000 members stood in a place (first or later of the role, with so
    many to follow), within the ages and gaps seen there, and `log_prob` is ``-inf`` beyond. Compositions are drawn
    systematically: those of n households have nearly the shares that the law gives them. A condition that counts
    members by role is met exactly. So is one that sums their amounts: each member is drawn given what is left of it,
    then amounts are moved in proportion until they add up, whole numbers by largest remainders; `log_prob` is that of
    the members before they are moved. Where weights are written, the households of one call weigh the training total
    together: chunks must be scaled.

    Examples
    --------
    >>> from microplex import make_population
    >>> population = make_population(400, seed=0)
    >>> levels = {
    ...     "household": {"target_vars": ["tenure", "n_persons"], "condition_vars": ["state"]},
    ...     "person": {"target_vars": ["age", "sex", "wages"], "parent_level": "household"},
    ... }
    >>> synth = HierarchicalSynthesizer(levels, constraints=["age < 15 -> wages == 0"], epochs=2, n_orders=0)
    >>> synthetic = synth.fit(population).generate(population.households[["state"]].head(50), seed=1)
    >>> synthetic.households.columns.tolist()
    ['household_id', 'state', 'tenure', 'n_persons']
    >>> bool((synthetic.persons["wages"][synthetic.persons["age"] < 15] == 0).all())
    True
    """

    _kind = "HierarchicalSynthesizer"

    def __init__(
        self,
        levels: Hierarchy | Mapping[str, Mapping[str, Any]],
        *,
        schema: Hierarchy | None = None,
        constraints: Any = None,
        kinds: Mapping[str, str] | None = None,
        age_col: str | None = "age",
        structure: str = "model",
        epochs: int | None = None,
        n_orders: int | None = None,
        min_rows: int = 3,
        seed: int = 0,
    ) -> None:
        self.levels = levels
        self.schema = schema
        self.constraints = constraints
        self.kinds = kinds
        self.age_col = age_col
        self.structure = structure
        self.epochs = epochs
        self.n_orders = n_orders
        self.min_rows = min_rows
        self.seed = seed

    def fit(self, data: Any, *, progress: bool | None = None) -> Self:
        """Learn from households.

        Parameters
        ----------
        data : Population, mapping of tables, or object with tables
            Households and persons, and groups such as tax units where they are levels: a `Population`,
            ``{"households": ..., "tax_units": ..., "persons": ...}`` or a survey of `draw_survey`. Weights are a column
            of the households, named in the schema.
        progress : bool, optional
            Whether to show a progress bar; None for only on a terminal.

        Returns
        -------
        HierarchicalSynthesizer
            The fitted estimator.

        Raises
        ------
        DataError, SchemaError, ColumnNotFoundError, ConstraintError, ParameterError
            If the input cannot be used; the message names table, column and row.
        """
        check_seed(self.seed)
        check_choice(self.structure, STRUCTURES, "structure")
        prepared = prepare(data, self)
        settings = Settings(self.epochs, self.n_orders, self.min_rows, self.seed)
        with progress_bar("Fitting", progress) as update:
            self.law_ = fit_law(
                prepared.scene, prepared.variables, prepared.weights, prepared.repeatable, settings,
                self.structure == "donor", update,
            )  # fmt: skip
            self.groups_ = fit_groups(prepared, settings, self.kinds)
        self.form_ = prepared.form
        self.report_: HouseholdReport = with_groups(report_of(self.law_, *prepared.sizes), self.groups_)
        return self

    def generate(self, households: int | Frame, *, seed: int = 0, first: int = 0) -> Population:
        """Generate households.

        Parameters
        ----------
        households : int, or data frame
            How many, or a row for each with the ``condition_vars``; its other columns are carried along, and its key
            is kept. If a condition counts the members, households have that size.
        seed : int
            Seed. A household depends on the model, the seed, its conditions and its place alone.
        first : int
            Place of the first household, for generating in chunks.

        Returns
        -------
        Population
            Of the training data's kind of frame, or that of `households`. Where training households had weights, all
            weigh the same and add up to the same total.

        Raises
        ------
        NotFittedError, DataError, ColumnNotFoundError, ParameterError, ConstraintError
            If the input cannot be used, or no member can satisfy the constraints.

        Warns
        -----
        UserWarning
            If households are asked for that are larger than any in training.
        """
        self._check_fitted()
        seed = check_seed(seed)
        if not isinstance(first, (int, np.integer)) or isinstance(first, bool) or first < 0:
            raise ParameterError(f"first must be a whole number of at least 0, got {first!r}.")
        given, frame, n = read_given(self.law_, self.form_, households)
        if self.law_.donors is not None:
            scene = draw_from_donors(self.law_, self.law_.donors, n, first, seed)
        else:
            counts = draw_compositions(self.law_, n, first, seed, given)
            scene = draw(self.law_, counts, given, first, seed)
        groups = draw_groups(self.groups_, scene, first, seed)
        return build_population(self.law_, self.form_, scene, frame, first, groups)

    def log_prob(self, population: Any) -> NDArray[np.float64]:
        """Exact log law of each household given its conditions.

        Parameters
        ----------
        population : Population, or what `fit` takes
            Whole households with all columns that were learned.

        Returns
        -------
        float64[n]
            In nats, for the households in the order of their table; counting measure on compositions, levels, point
            masses and grids, Lebesgue measure elsewhere; ``-inf`` for what cannot be drawn. Members of one role are
            taken by age; those of one age as their keys order them.

        Raises
        ------
        ParameterError
            If structure was copied from donors, which has no likelihood.
        """
        self._check_fitted()
        if self.law_.donors is not None:
            raise ParameterError('log_prob needs structure="model": structure copied from donors has no likelihood.')
        whole = read_whole(self.law_, self.form_, population)
        return score(self.law_, whole.scene) + score_groups(self.groups_, whole)

    def reweight(self, population: Population, targets: Any, **options: Any) -> Calibrated:
        """Calibrate the households' weights to totals of households and persons.

        Parameters
        ----------
        population : Population
            What to weight, such as what `generate` returned.
        targets : TargetSet, sequence of Target, mapping or data frame
            As for `Reweighter.fit`; targets of persons count persons on their household's weight.
        **options
            Of `Reweighter`.

        Returns
        -------
        Calibrated
            The population with the weights in its households, and the result with its certificate.

        Raises
        ------
        InfeasibleTargetsError
            If targets cannot be met.
        """
        schema = population.schema
        top, member = schema.top, schema.member
        weight = schema.weight_col or "weight"
        homes = population.table(top.name)
        if weight not in column_names(homes):
            homes = assign(homes, {weight: np.ones(population.size(top.name))})
        units = {g.table: population.table(g.name) for g in schema.groups if g.name == "tax_unit"}
        reweighter = Reweighter(**options).fit(
            homes, targets, weight, persons=population.table(member.name), id_col=top.key, **units
        )
        values = read_column(reweighter.transform(homes), weight).values
        assert values is not None
        tables = dict(population.tables) | {top.table: assign(homes, {weight: values})}
        return Calibrated(Population(_weighted(schema, weight), tables), reweighter.result_)

    def generate_and_reweight(
        self, households: int | Frame, targets: Any, *, seed: int = 0, **options: Any
    ) -> Calibrated:
        """Generate households and calibrate them; see `generate` and `reweight`."""
        return self.reweight(self.generate(households, seed=seed), targets, **options)

    @classmethod
    def load(cls, path: str | os.PathLike[str], rules: Mapping[str, Callable[[Frame], Any]] | None = None) -> Self:
        """Read a model that :meth:`save` wrote.

        Parameters
        ----------
        path
            Model directory.
        rules : mapping of str to callable, optional
            The ``rule`` of each level that had one: functions are not saved.

        Returns
        -------
        HierarchicalSynthesizer
            Fitted.

        Raises
        ------
        FileNotFoundError, ModelFormatError, ParameterError
            If there is no readable model, or it needs other rules.
        """
        content, arrays = load_model(path, cls._kind)
        return cls._unpack(content, arrays, rules)

    def _pack(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        if self.law_.donors is not None:
            raise ParameterError('a model with structure="donor" holds training households and is not saved.')
        content, arrays = pack_law(self.law_, self.form_, self.report_)
        content["groups"], own = pack_groups(self.groups_)
        content["parameters"] = self._parameters("levels", "schema", "constraints")
        return content, arrays | own

    @classmethod
    def _unpack(
        cls,
        content: Mapping[str, Any],
        arrays: Mapping[str, NDArray[Any]],
        rules: Mapping[str, Callable[[Frame], Any]] | None = None,
    ) -> Self:
        with refusing_damage("model"):
            law, form, report = unpack_law(content, arrays)
            self = cls(**{**content["parameters"], "levels": form.schema})
        self.law_, self.form_, self.report_ = law, form, report
        self.groups_ = unpack_groups(content.get("groups", ()), arrays, rules)
        return self


def _weighted(schema: Hierarchy, weight: str) -> Hierarchy:
    return schema if schema.weight_col else Hierarchy(schema.member, schema.groups, weight, schema.parents)


__all__ = ["Calibrated", "HierarchicalSynthesizer"]
