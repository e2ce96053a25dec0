"""Bridges between tables and the flow: schema to codes and back, with the law inside each code."""

from microplex.encoding import intake, writing
from microplex.encoding.conditional import ConditionalLaw
from microplex.encoding.encoder import Encoder, Values
from microplex.encoding.fitting import FitReport, Settings, fit_model
from microplex.encoding.rows import sample_rows, score_rows
from microplex.encoding.saving import arrays_under, pack, unpack

__all__ = [
    "ConditionalLaw",
    "Encoder",
    "FitReport",
    "Settings",
    "Values",
    "arrays_under",
    "fit_model",
    "intake",
    "pack",
    "sample_rows",
    "score_rows",
    "unpack",
    "writing",
]
