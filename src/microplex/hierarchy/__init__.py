"""Households that behave like households: rules, enforcement, detection and synthesis."""
