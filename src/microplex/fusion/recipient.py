"""Recipients in the names and codes of their own file: harmonised to be completed, handed back as they came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from microplex.errors import DataError, ParameterError
from microplex.frames import Frame, check_frame, column_names
from microplex.fusion.harmonise import Harmonisation
from microplex.fusion.harmonise_column import SourceColumn


def in_variables(
    plan: Harmonisation | None,
    recipient: Frame,
    source: str | None,
    tables: Mapping[str, Frame] | None,
    harmonised: bool,
) -> Frame | None:
    """Return a recipient in the variables of the fusion; None if it is already.

    Parameters
    ----------
    plan : Harmonisation, optional
        Of the fusion.
    recipient : data frame
    source : str, optional
        Whose names and codes it has.
    tables : mapping of str to data frame, optional
        Other tables that the variables of the source name.
    harmonised : bool
        Whether it has the variables' names and codes although a source is named.

    Raises
    ------
    ParameterError, DataError, ColumnNotFoundError
        If tables are given that nothing reads, or the recipient cannot be harmonised row by row.
    """
    if plan is None or source is None or harmonised:
        if tables:
            raise ParameterError(
                "tables are read where a fusion with a harmonisation completes a recipient in the names of its own "
                "file: name that source, and leave out harmonised=True."
            )
        return None
    check_frame(recipient)
    goal = plan.entity or plan.entities.get(source)
    if plan.entities.get(source) != goal:
        raise DataError(
            f"a row of source {source!r} is a {plan.entities.get(source)} and one of the fusion a {goal}: the "
            "recipient's own rows cannot be handed back. Harmonise it with harmonisation.apply_to and complete the "
            "result with harmonised=True."
        )
    return plan.apply_to(recipient, source, tables=tables, partial=True)


def check_names(plan: Harmonisation, recipient: Frame, source: str, drawn: Sequence[str]) -> None:
    """Refuse to put a variable in the place of a column of the recipient that is something else.

    Parameters
    ----------
    plan, recipient, source
        As for `in_variables`.
    drawn : sequence of str
        Variables to be put into the recipient.

    Raises
    ------
    DataError
    """
    have = column_names(recipient)
    for name in drawn:
        read = plan.variables.get(name, {}).get(source)
        if name in have and not (read is not None and name not in plan.uprating and _as_it_is(read, name)):
            raise DataError(
                f"the recipient has a column {name!r}, which is not the variable {name!r} as the harmonisation reads "
                f"it from {source!r}, and this variable is to be drawn. Rename the column; or, if the recipient has "
                "the variables' names and codes already, say harmonised=True."
            )


def _as_it_is(read: SourceColumn, name: str) -> bool:
    """Whether a variable is the column of its name, unchanged."""
    return read.to_dict().keys() <= {"column", "unit"} and read.columns == (name,)
