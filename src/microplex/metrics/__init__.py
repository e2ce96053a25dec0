"""Judgement: measures of synthetic against real data. Frames in, records out; no measure sees a model.

Examples
--------
>>> combine([10.0, 12.0], [1.0, 1.0], rule="rubin").estimate
11.0
"""

from microplex.metrics.evaluate import evaluate
from microplex.metrics.evaluation import Evaluation
from microplex.metrics.fusion import FusionEvaluation, evaluate_fusion
from microplex.metrics.inference import combine
from microplex.metrics.pair import Pair, Variable, pair
from microplex.metrics.record import GROUPS, Record, to_frame, undefined
from microplex.metrics.utility import Regression

__all__ = [
    "GROUPS",
    "Evaluation",
    "FusionEvaluation",
    "Pair",
    "Record",
    "Regression",
    "Variable",
    "combine",
    "evaluate",
    "evaluate_fusion",
    "pair",
    "to_frame",
    "undefined",
]
