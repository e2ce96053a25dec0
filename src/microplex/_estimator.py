"""The estimator contract: parameters stored as given, learned state ending in an underscore."""

from __future__ import annotations

import copy
import inspect
from typing import Any, Self, TypeVar

from microplex.errors import NotFittedError, ParameterError, near_miss

EstimatorT = TypeVar("EstimatorT", bound="BaseEstimator")


class BaseEstimator:
    """Base of every estimator.

    A subclass stores the arguments of ``__init__`` unchanged under their own names. What ``fit``
    learns goes to attributes that end in an underscore and that do not exist before.

    Examples
    --------
    >>> class Mean(BaseEstimator):
    ...     def __init__(self, trim=0.0):
    ...         self.trim = trim
    >>> Mean(trim=0.1)
    Mean(trim=0.1)
    >>> Mean().set_params(trim=0.2).get_params()
    {'trim': 0.2}
    """

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
        return {p.name: p.default for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters.

        Parameters
        ----------
        deep : bool
            Also return those of parameters that are estimators, as ``name__parameter``.

        Returns
        -------
        dict
            Values by name.

        Examples
        --------
        >>> BaseEstimator().get_params()
        {}
        """
        params = {name: getattr(self, name) for name in self._defaults()}
        if deep:
            for name, value in list(params.items()):
                if isinstance(value, BaseEstimator):
                    params |= {f"{name}__{inner}": v for inner, v in value.get_params().items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Change parameters.

        Parameters
        ----------
        **params
            Values by name; ``name__parameter`` reaches into a parameter that is an estimator.

        Returns
        -------
        BaseEstimator
            The estimator itself.

        Raises
        ------
        ParameterError
            There is no parameter of this name; nothing is changed.

        Examples
        --------
        >>> BaseEstimator().set_params(sed=1)
        Traceback (most recent call last):
        microplex.errors.ParameterError: BaseEstimator has no parameter 'sed'. It has: none.
        """
        known = self.get_params()
        for name in params:
            if name not in known:
                raise ParameterError(
                    f"{type(self).__name__} has no parameter {name!r}.{near_miss(name, known)} "
                    f"It has: {', '.join(known) or 'none'}."
                )
        for name, value in sorted(params.items(), key=lambda item: item[0].count("__")):
            owner, _, inner = name.partition("__")
            if inner:
                getattr(self, owner).set_params(**{inner: value})
            else:
                setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        """Show the class with the parameters that differ from their defaults."""
        shown = (
            f"{name}={value!r}"
            for name, default in self._defaults().items()
            if repr(value := getattr(self, name)) != repr(default)
        )
        return f"{type(self).__name__}({', '.join(shown)})"

    def _check_fitted(self) -> None:
        """Raise `NotFittedError` unless ``fit`` has left learned state."""
        if not any(name.endswith("_") and not name.startswith("_") for name in vars(self)):
            raise NotFittedError(f"This {type(self).__name__} is not fitted. Call fit first, or load a saved model.")


def clone(estimator: EstimatorT) -> EstimatorT:
    """Return an unfitted estimator with the same parameters.

    Parameters
    ----------
    estimator : BaseEstimator
        Fitted or not; it is not changed.

    Returns
    -------
    BaseEstimator
        Of the same class, with copies of the parameters and no learned state.

    Examples
    --------
    >>> clone(BaseEstimator())
    BaseEstimator()
    """
    params = estimator.get_params(deep=False)
    return type(estimator)(**{name: _copied(value) for name, value in params.items()})


def _copied(value: object) -> object:
    return clone(value) if isinstance(value, BaseEstimator) else copy.deepcopy(value)
