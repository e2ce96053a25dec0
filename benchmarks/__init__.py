"""Comparisons of methods on problems, beside a noise floor: `benchmarks.synthesis` and `benchmarks.calibration`."""
