"""Conditional synthesis of survey microdata with exact likelihood, and weights that meet official totals.

The names below are loaded when first used, so that `import microplex` costs nothing and none of them brings in a
machine-learning framework: fitting a Synthesizer alone needs one. Further errors are in `microplex.errors`.

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
    from microplex.errors import InfeasibleTargetsError
    from microplex.fusion import MultiSourceFusion
    from microplex.hierarchy.enforce import enforce_hierarchy
    from microplex.hierarchy.synthesizer import HierarchicalSynthesizer
    from microplex.imputation import Imputer
    from microplex.reweighter import Reweighter, reweight
    from microplex.schema import Schema
    from microplex.synthesizer import Synthesizer
    from microplex.targets import Target, TargetSet

__version__ = "0.1.0"

__all__ = [
    "HierarchicalSynthesizer",
    "Imputer",
    "InfeasibleTargetsError",
    "MultiSourceFusion",
    "Reweighter",
    "Schema",
    "SurveyDesign",
    "Synthesizer",
    "Target",
    "TargetSet",
    "draw_survey",
    "enforce_hierarchy",
    "make_population",
    "official_totals",
    "reweight",
]

_HOMES = {
    "Synthesizer": "synthesizer",
    "Reweighter": "reweighter",
    "reweight": "reweighter",
    "Target": "targets",
    "TargetSet": "targets",
    "HierarchicalSynthesizer": "hierarchy.synthesizer",
    "enforce_hierarchy": "hierarchy.enforce",
    "Imputer": "imputation",
    "MultiSourceFusion": "fusion",
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
