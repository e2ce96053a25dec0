"""The verdict of a report as sentences that claim no more than was measured."""

from __future__ import annotations

from microplex.metrics import Record
from microplex.metrics.evaluation import Evaluation
from microplex.metrics.privacy import privacy_verdict
from microplex.report.markup import light, listing, number, paragraph, section

_WORST = 5


def verdict_section(evaluation: Evaluation, notes: tuple[str, ...] = ()) -> str:
    """Return the verdict at the top of the page.

    Parameters
    ----------
    evaluation : Evaluation
    notes : tuple of str
        What the reader should know before all else.

    Returns
    -------
    str
        HTML.
    """
    counts = judged(evaluation)
    lights = "".join(
        f'<div class="tally"><strong>{counts[word]:,}</strong> {light(word)}</div>'
        for word in ("as real", "near", "off", "not defined")
        if counts[word] or word != "not defined"
    )
    return section(
        "verdict",
        "Verdict",
        *(paragraph(note, "warning") for note in notes),
        paragraph(headline(counts), "lead"),
        f'<div class="tallies">{lights}</div>',
        listing(sentences(evaluation)),
        paragraph(
            "As real: no further from the ideal than fresh real rows, or inside the interval that holds 95 % of fresh "
            "samples. Near: less than twice as far. Off: further. The floor is one draw: other fresh real rows would "
            "exceed it in up to half of the measures, would leave an interval in 1 of 20, and a few in a hundred of "
            "their measures would be called off. Measures hang together and are not independent tests.",
            "note",
        ),
    )


def judged(evaluation: Evaluation) -> dict[str, int]:
    """Count the verdicts of all measures but those of privacy, which are judged by themselves."""
    pairs = zip(evaluation.records, verdicts(evaluation), strict=True)
    found = [word for record, word in pairs if record.group != "privacy"]
    return {word: found.count(word) for word in ("as real", "near", "off", "not defined", "")}


def verdicts(evaluation: Evaluation) -> list[str]:
    """Return the verdict of each record; those of privacy are off only above their interval.

    To be further from training rows than fresh rows are is no sign of memory.

    Examples
    --------
    >>> low = Record("dcr_share", "privacy", (), 0.4, ideal=0.5, interval=(0.48, 0.52))
    >>> verdicts(Evaluation((low,), (), (), {}, ()))
    ['as real']
    """
    found = []
    for record, word in zip(evaluation.records, evaluation.verdicts, strict=True):
        if record.group != "privacy" or not record.defined:
            found.append(word)
        elif record.interval is None:
            found.append("")
        else:
            found.append("off" if record.value > record.interval[1] else "as real")
    return found


def headline(counts: dict[str, int]) -> str:
    """Say how many measures are further off than fresh real rows.

    Examples
    --------
    >>> headline({"as real": 8, "near": 1, "off": 1, "not defined": 0, "": 0})
    '1 of 10 measures with a floor is more than twice as far from the ideal as fresh real rows are; 8 are as good.'
    >>> headline({"as real": 0, "near": 0, "off": 0, "not defined": 3, "": 0})
    'Nothing could be judged: no measure has a floor or an interval.'
    """
    total = counts["as real"] + counts["near"] + counts["off"]
    if not total:
        return "Nothing could be judged: no measure has a floor or an interval."
    good = f"{counts['as real']:,} {'is' if counts['as real'] == 1 else 'are'} as good"
    if not counts["off"]:
        return f"None of {total:,} measures with a floor is more than twice as far off as fresh real rows; {good}."
    verb = "is" if counts["off"] == 1 else "are"
    return (
        f"{counts['off']:,} of {total:,} measures with a floor {verb} more than twice as far from the ideal as fresh "
        f"real rows are; {good}."
    )


def sentences(evaluation: Evaluation) -> list[str]:
    """Return what stands out, each in a sentence: classifier, propensity, the worst measures, privacy."""
    found = [_classifier(r) for r in evaluation.select(measure="c2st_auc")]
    found += [_propensity(r) for r in evaluation.select(measure="pmse_ratio")]
    worst = _worst(evaluation)
    if worst:
        found.append(f"Furthest beyond their floor: {'; '.join(worst)}.")
    undefined = judged(evaluation)["not defined"]
    if undefined:
        found.append(
            f"{undefined} measure{'s are' if undefined > 1 else ' is'} not defined; the table says why for each."
        )
    privacy = evaluation.select("privacy")
    if privacy:
        found.append(f"Privacy: {privacy_verdict(privacy).splitlines()[0]}")
    else:
        found.append("Privacy was not measured: that needs the training rows, and a holdout to compare with.")
    if not evaluation.condition_vars:
        found.append("No conditions were named, so laws within cells were not measured.")
    return found


def _classifier(record: Record) -> str:
    if not record.defined:
        return f"Whether a classifier tells the rows apart is not known: {record.reason}."
    auc = f"area under the curve {record.value:.3f}, where 0.5 is a coin"
    if record.interval is None:
        return f"A classifier that tells synthetic from real rows has an {auc}."
    low, high = record.interval
    fresh = f"95 % of fresh real samples lie between {low:.3f} and {high:.3f}"
    if record.value > high:
        return f"A classifier tells synthetic from real rows: {auc}; {fresh}."
    return f"The classifier that was tried does not tell synthetic from real rows: {auc}; {fresh}."


def _propensity(record: Record) -> str:
    if not record.defined:
        return f"The error of propensity scores is not known: {record.reason}."
    words = f"The error of propensity scores is {number(record.value, 3)} times what chance gives"
    if record.interval is None:
        return words + "."
    low, high = record.interval
    place = "above" if record.value > high else "below" if record.value < low else "within"
    return f"{words}, {place} the {number(low, 3)} to {number(high, 3)} of 95 % of fresh samples."


def _worst(evaluation: Evaluation) -> list[str]:
    """Name the measures furthest beyond their floor, at most one of each name."""
    ranked = evaluation.worst(len(evaluation.records))
    off = [evaluation.records[i] for i in ranked.index[(ranked["verdict"] == "off").to_numpy()]]
    names: dict[str, str] = {}
    for record in off:
        if record.group == "privacy":
            continue
        about = ", ".join(record.variables)
        where = f" of {about}" if about else ""
        figures = f"{number(record.value, 3)} where fresh rows score {number(record.floor, 3)}"
        names.setdefault(record.measure, f"{record.measure}{where} ({figures})")
    return list(names.values())[:_WORST]
