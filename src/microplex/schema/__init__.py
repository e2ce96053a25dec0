"""What a column is: its kind, grain, bounds, atoms and missing codes.

`Schema.infer` reads it off a table, `Schema.replace` edits it, `Schema.to_yaml` writes it down.
"""

from microplex.schema.column import DTYPES, KINDS, MISSING, Column, Level
from microplex.schema.table import Schema

__all__ = ["DTYPES", "KINDS", "MISSING", "Column", "Level", "Schema"]
