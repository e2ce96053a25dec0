"""Survey statistics: weights, weighted estimates and their sampling variance.

Examples
--------
>>> mean([10.0, 20.0], weights=[3, 1]), kish_design_effect([3, 1])
(12.5, 1.25)
"""

from microplex.survey.design import Estimate, SampleDesign
from microplex.survey.estimates import correlation, crosstab, ecdf, mean, quantile, total
from microplex.survey.variance import (
    Replicates,
    bootstrap,
    jackknife,
    replicate_variance,
    replicates_from_columns,
)
from microplex.survey.weights import ess, integerise_weights, kish_design_effect, trim_weights

__all__ = [
    "Estimate",
    "Replicates",
    "SampleDesign",
    "bootstrap",
    "correlation",
    "crosstab",
    "ecdf",
    "ess",
    "integerise_weights",
    "jackknife",
    "kish_design_effect",
    "mean",
    "quantile",
    "replicate_variance",
    "replicates_from_columns",
    "total",
    "trim_weights",
]
