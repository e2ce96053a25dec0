"""Conditional synthesis of survey microdata with exact likelihood.

The names below are loaded when first used, so that `import microplex` costs nothing and none of them
brings in a machine-learning framework: fitting alone needs one.

Examples
--------
>>> import microplex
>>> "Synthesizer" in dir(microplex)
True
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from microplex.datasets import SurveyDesign, draw_survey, make_population, official_totals
    from microplex.errors import (
        ColumnNotFoundError,
        ConstraintError,
        ConvergenceWarning,
        DataError,
        MicroplexError,
        NotFittedError,
        SchemaError,
    )
    from microplex.schema import Column, Schema
    from microplex.synthesizer import Synthesizer

__version__ = "0.1.0"

__all__ = [
    "Column",
    "ColumnNotFoundError",
    "ConstraintError",
    "ConvergenceWarning",
    "DataError",
    "MicroplexError",
    "NotFittedError",
    "Schema",
    "SchemaError",
    "SurveyDesign",
    "Synthesizer",
    "draw_survey",
    "make_population",
    "official_totals",
]

_HOMES = {
    "Synthesizer": "synthesizer",
    "Column": "schema",
    "Schema": "schema",
    "SurveyDesign": "datasets",
    "draw_survey": "datasets",
    "make_population": "datasets",
    "official_totals": "datasets",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
