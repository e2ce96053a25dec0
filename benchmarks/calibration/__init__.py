"""Calibration beside its public peers, on the problems that the bars are set on; see its `__main__`."""
