"""Published figures: what they are, the forms they come in, and the sparse linear system they make with data."""

from microplex.targets.design import TargetDesign, build_design
from microplex.targets.outcome import ReweightResult, judge, outcome
from microplex.targets.protect import protected, with_denominators
from microplex.targets.selection import frontier
from microplex.targets.solving import solve_targets
from microplex.targets.target import Target
from microplex.targets.target_set import Targets, TargetSet

__all__ = [
    "ReweightResult",
    "Target",
    "TargetDesign",
    "TargetSet",
    "Targets",
    "build_design",
    "frontier",
    "judge",
    "outcome",
    "protected",
    "solve_targets",
    "with_denominators",
]
