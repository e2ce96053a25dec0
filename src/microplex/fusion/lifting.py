"""Training a linked block a second time, with what its rows do not know drawn given all that they observe.

One step of stochastic expectation maximisation (Celeux and Diebolt, 1985). Trained once, the law of a target given a
linked variable rests on the few rows that observe both; now all rows of the block speak about it, so that averaged
over the linked variables it is again the law that they show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from microplex._random import row_keys
from microplex.constraints import Constraint
from microplex.encoding import Settings
from microplex.fusion.completing import complete_rows
from microplex.fusion.coupling import Links
from microplex.fusion.learning import Law, Update, fit_law
from microplex.fusion.reading import Rows, Sources

N_DRAWS = 48


def lift(
    laws: Sequence[Law],
    law: Law,
    sources: Sources,
    constraints: Sequence[Constraint],
    settings: Settings,
    update: Update,
) -> Law:
    """Return the law of a block trained again; as it is where nothing is linked.

    Parameters
    ----------
    laws : sequence of Law
        Of the blocks before.
    law : Law
        Of the block, trained once.
    sources, constraints, settings, update
        As for `fit_law`.

    Returns
    -------
    Law
    """
    linked = law.block.linked
    lacking = ~np.logical_and.reduce([sources.rows.seen[v] for v in linked]) if linked else np.zeros(0, bool)
    used = sources.of(law.block.sources)
    observes = np.logical_or.reduce([sources.rows.seen[name][used] for name in law.block.targets])
    rows = used[observes & lacking[used]] if linked else used[:0]
    if not len(rows):
        return law
    part = sources.rows.take(rows)
    drawn, _ = complete_rows([*laws, law], Links.none(), part, row_keys(rows), settings.seed, n_draws=N_DRAWS)
    values = {name: x.copy() for name, x in sources.rows.values.items()}
    seen = dict(sources.rows.seen)
    for name in linked:
        values[name][rows] = drawn.values[name]
        seen[name] = seen[name].copy()
        seen[name][rows] = True
    filled = replace(sources, rows=Rows(values, seen, sources.rows.n))
    return fit_law(law.block, law.inputs, filled, constraints, settings, update)
