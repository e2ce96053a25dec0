"""What must hold on every generated row, and the plan that makes it hold by construction.

`parse` reads constraints from text, `Plan.build` checks them on training data and arranges the columns,
`Plan.support` says where a column may lie once others are known.
"""

from microplex.constraints.arrange import Share
from microplex.constraints.grammar import parse
from microplex.constraints.layout import Derived
from microplex.constraints.plan import Plan
from microplex.constraints.support import Support
from microplex.constraints.terms import (
    AllOf,
    AnyOf,
    Combinations,
    Comparison,
    Condition,
    Constraint,
    Implies,
    Membership,
    Sum,
    negate,
)

__all__ = [
    "AllOf",
    "AnyOf",
    "Combinations",
    "Comparison",
    "Condition",
    "Constraint",
    "Derived",
    "Implies",
    "Membership",
    "Plan",
    "Share",
    "Sum",
    "Support",
    "negate",
    "parse",
]
