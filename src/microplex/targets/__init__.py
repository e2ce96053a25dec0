"""Published figures: what they are, the forms they come in, and the sparse linear system they make with data."""

from microplex.targets.design import TargetDesign, build_design
from microplex.targets.outcome import ReweightResult, outcome
from microplex.targets.protect import protected
from microplex.targets.selection import frontier
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
    "outcome",
    "protected",
]
