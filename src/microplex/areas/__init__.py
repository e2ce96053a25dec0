"""Households placed in small areas: the totals of zones, tracts, counties and the region held together."""

from microplex.areas.calibrate import calibrate_areas
from microplex.areas.result import AreaWeights

__all__ = ["AreaWeights", "calibrate_areas"]
