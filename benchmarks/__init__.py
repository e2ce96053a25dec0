"""Comparisons of methods on problems, beside a noise floor, and costs: see the packages and modules here."""
