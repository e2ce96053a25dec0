"""Households, tax units and persons: what they are, and normalised tables of them.

Examples
--------
>>> from microplex.datasets import make_population
>>> population = as_population(make_population(100, seed=0))
>>> population.aggregate("wages", "sum", "household").shape
(100,)
"""

from microplex.entities.flat import normalise
from microplex.entities.intake import as_population
from microplex.entities.population import Population
from microplex.entities.schema import US, Entity, GroupEntity, Hierarchy

__all__ = ["US", "Entity", "GroupEntity", "Hierarchy", "Population", "as_population", "normalise"]
