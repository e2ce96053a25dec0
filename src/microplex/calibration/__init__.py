"""Calibration of weights to totals: distances, solvers, certificates. Arrays only.

Examples
--------
>>> problem = Problem.of([[1.0, 1.0], [0.0, 1.0]], base=[1.0, 1.0], totals=[4.0, 1.0])
>>> calibrate(problem).weights.round(9).tolist()
[3.0, 1.0]
"""

from microplex.calibration.dense import calibrate
from microplex.calibration.distances import METHODS, Distance
from microplex.calibration.presolve import Dependency, Unreachable
from microplex.calibration.problem import Problem
from microplex.calibration.replicate import calibrate_replicates
from microplex.calibration.result import MET, CalibrationResult
from microplex.calibration.select import SPARSITIES, thin, whole

__all__ = [
    "MET",
    "METHODS",
    "SPARSITIES",
    "CalibrationResult",
    "Dependency",
    "Distance",
    "Problem",
    "Unreachable",
    "calibrate",
    "calibrate_replicates",
    "thin",
    "whole",
]
