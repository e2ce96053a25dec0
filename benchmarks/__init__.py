"""Comparisons of methods on problems, each beside its noise floor; see `benchmarks.synthesis`."""
