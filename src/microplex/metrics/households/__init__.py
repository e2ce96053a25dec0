"""Judgement of households: who lives together, how alike they are, and what no household can be.

Populations in, records out; no measure sees a model. Needs scikit-learn for the classifiers:
`pip install microplex[report]`.
"""

from microplex.metrics.households.evaluate import evaluate_hierarchy
from microplex.metrics.households.evaluation import HierarchyEvaluation
from microplex.metrics.households.view import Limits

__all__ = ["HierarchyEvaluation", "Limits", "evaluate_hierarchy"]
