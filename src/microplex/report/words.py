"""The verdict of a report as sentences that claim no more than was measured."""

from __future__ import annotations

from microplex.metrics import Pair, Record
from microplex.metrics.evaluation import Evaluation
from microplex.metrics.privacy import OVERLAP, privacy_verdict
from microplex.report.glossary import plain
from microplex.report.markup import light, listing, number, paragraph, section
from microplex.survey import ess

NOT_JUDGED = "not judged"
FEW_ROWS = 200  # effective rows below which little can be told
_WORST = 5
_TESTS = {
    "c2st_auc": "a classifier",
    "pmse_ratio": "propensity scores",
    "energy": "the energy distance",
    "mmd": "the maximum mean discrepancy",
}
_KINDS = {
    "marginal": "one variable at a time",
    "joint": "variables together",
    "conditional": "within conditions",
    "utility": "predictions and regressions",
}
_WIDE = 0.5  # share of the rows below which the spread of the weights is told


def verdict_section(evaluation: Evaluation, both: Pair | None = None) -> str:
    """Return the verdict at the top of the page.

    Parameters
    ----------
    evaluation : Evaluation
    both : Pair, optional
        The tables, whose weights are looked at.

    Returns
    -------
    str
        HTML.
    """
    counts = judged(evaluation)
    lights = "".join(
        f'<div class="tally"><strong>{counts[word]:,}</strong> {light(word)}</div>'
        for word in ("as real", "near", "off", NOT_JUDGED, "not defined")
        if counts[word] or word in ("as real", "near", "off")
    )
    return section(
        "verdict",
        "Verdict",
        *(paragraph(line, "warning") for line in cautions(evaluation, both)),
        *(paragraph(line, "lead") for line in leads(evaluation)),
        paragraph(headline(counts)),
        f'<div class="tallies">{lights}</div>',
        listing(sentences(evaluation)),
        paragraph(
            "As real: no further from the ideal than the floor, which is what fresh real rows score, or inside the "
            "interval that holds 95 % of fresh samples. Near: less than twice as far. Off: further. A floor below the "
            "median floor of its measure was lucky, and counts as that median. Still each floor is one draw: other "
            "fresh real rows would exceed it in up to half of the measures, and 5 to 20 in 100 of theirs would be "
            "called off, those of tails and totals first; up to 30 in a sample that is unlucky or small, for measures "
            "hang together and are not independent tests. "
            "Not judged: there is neither floor nor interval. Measures of privacy are not in these counts.",
            "note",
        ),
    )


def judged(evaluation: Evaluation) -> dict[str, int]:
    """Count the verdicts of all measures but those of privacy, which are judged by themselves."""
    pairs = zip(evaluation.records, verdicts(evaluation), strict=True)
    found = [word for record, word in pairs if record.group != "privacy"]
    counts = {word: found.count(word) for word in ("as real", "near", "off", "not defined")}
    return counts | {NOT_JUDGED: found.count("")}


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


def cautions(evaluation: Evaluation, both: Pair | None = None) -> list[str]:
    """Say what the reader should know before all else: few rows, uneven weights, a holdout of training rows.

    Examples
    --------
    >>> cautions(Evaluation((), (), ("wages",), {"real": 2, "synthetic": 1}, ()))[0].split(".")[0]
    'Few rows: 2 real and 1 synthetic'
    """
    sizes = tuple(evaluation.sizes.get(side, FEW_ROWS) for side in ("real", "synthetic"))
    counted = sizes if both is None else (ess(both.real_weights), ess(both.synthetic_weights))
    said = []
    if min(sizes) < FEW_ROWS:
        said.append(
            f"Few rows: {sizes[0]:,} real and {sizes[1]:,} synthetic. Chance moves every measure far, so that faults "
            "pass as real and fresh rows are called off; take no verdict from it."
        )
    elif any(own < max(FEW_ROWS, _WIDE * size) for own, size in zip(counted, sizes, strict=True)):
        said.append(
            f"The weights differ so much that the {sizes[0]:,} real and {sizes[1]:,} synthetic rows say as much as "
            f"{counted[0]:,.0f} and {counted[1]:,.0f} of equal weights would (Kish's effective sizes): floors are wide."
        )
    for record in evaluation.select("privacy", "holdout_overlap"):
        if record.defined and record.value > OVERLAP:
            said.append(
                f"{record.value:.1%} of the distinctive holdout rows are training rows. The floor and every measure of "
                "privacy flatter; take a holdout that the model never saw."
            )
    return said


def leads(evaluation: Evaluation) -> list[str]:
    """Say whether tests of all variables together tell the rows apart, and what was found about memory.

    How many measures are off says little about that: most are about one variable, and none of those sees a table whose
    columns were shuffled apart.

    Examples
    --------
    >>> told = Record("c2st_auc", "joint", (), 0.7, ideal=0.5, interval=(0.45, 0.55))
    >>> leads(Evaluation((told,), (), ("wages",), {}, ()))[0]
    'Synthetic rows can be told from real ones by a classifier: 1 of 1 test of all variables together finds a
    difference, as it does in up to 1 of 20 fresh samples by chance.'
    """
    tests = [
        (words, record.value > record.interval[1])
        for measure, words in _TESTS.items()
        for record in evaluation.select(measure=measure)
        if record.defined and record.interval is not None
    ]
    found = [words for words, is_told in tests if is_told]
    of = f"{len(tests)} test{'s' if len(tests) > 1 else ''} of all variables together"
    if found:
        does = "finds a difference, as it does" if len(found) == 1 else "find a difference, as each does"
        lines = [
            f"Synthetic rows can be told from real ones by {_joined(found)}: {len(found)} of {of} {does} in up to 1 of "
            "20 fresh samples by chance."
        ]
    elif tests:
        lines = [f"None of {of} tells synthetic from real rows: {_joined([words for words, _ in tests])}. "]
        lines[0] += "That is no proof that nothing differs."
    else:
        lines = ["No test of all variables together could be made, so whether rows can be told apart is not known."]
    privacy = evaluation.select("privacy")
    if privacy:
        return [*lines, f"Privacy: {privacy_verdict(privacy).splitlines()[0]}"]
    return [*lines, "Privacy was not measured: that needs the training rows, and a holdout to compare with."]


def _joined(words: list[str]) -> str:
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def headline(counts: dict[str, int]) -> str:
    """Say how many measures are further off than fresh real rows, and how many of those chance alone gives.

    Examples
    --------
    >>> headline({"as real": 8, "near": 1, "off": 1})
    '1 of 10 measures with a floor (10 %) is more than twice as far from the ideal as one draw of fresh real rows; of
    other fresh rows 5 to 20 % would be. 8 are as good.'
    >>> headline({"as real": 0, "near": 0, "off": 0})
    'Nothing could be judged: no measure has a floor or an interval.'
    """
    total = counts["as real"] + counts["near"] + counts["off"]
    if not total:
        return "Nothing could be judged: no measure has a floor or an interval."
    good = f"{counts['as real']:,} {'is' if counts['as real'] == 1 else 'are'} as good"
    if not counts["off"]:
        return (
            f"None of {total:,} measures with a floor is more than twice as far off as one draw of fresh real rows; "
            f"{good}."
        )
    verb = "is" if counts["off"] == 1 else "are"
    share = 100 * counts["off"] / total
    return (
        f"{counts['off']:,} of {total:,} measures with a floor ({share:.{0 if share >= 1 else 1}f} %) {verb} more than "
        "twice as far from the ideal as one draw of fresh real rows; of other fresh rows 5 to 20 % would be. "
        f"{good}."
    )


def sentences(evaluation: Evaluation) -> list[str]:
    """Return what stands out, each in a sentence: counts, classifier, propensity, the worst measures."""
    found = [_by_kind(evaluation)] if any(judged(evaluation)[word] for word in ("as real", "near", "off")) else []
    found += [_classifier(r) for r in evaluation.select(measure="c2st_auc")]
    found += [_propensity(r) for r in evaluation.select(measure="pmse_ratio")]
    found += [f"{'Next' if i else 'Furthest beyond its floor'}: {line}." for i, line in enumerate(_worst(evaluation))]
    counts = judged(evaluation)
    if counts[NOT_JUDGED]:
        verb = "s have" if counts[NOT_JUDGED] > 1 else " has"
        found.append(f"{counts[NOT_JUDGED]} measure{verb} neither floor nor interval and could not be judged.")
    undefined = counts["not defined"]
    if undefined:
        found.append(
            f"{undefined} measure{'s are' if undefined > 1 else ' is'} not defined; the table says why for each."
        )
    if not evaluation.condition_vars:
        found.append("No conditions were named, so laws within cells were not measured.")
    return found


def _by_kind(evaluation: Evaluation) -> str:
    said = []
    for group, words in _KINDS.items():
        pairs = zip(evaluation.records, verdicts(evaluation), strict=True)
        found = [word for record, word in pairs if record.group == group and word in ("as real", "near", "off")]
        if found:
            said.append(f"{words} {found.count('off'):,} of {len(found):,}")
    return f"Off, by kind of measure: {'; '.join(said)}."


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
        about = record.variables
        where = f" of {about[0]}" if about else ""
        where += f" by {', '.join(about[1:])}" if record.group == "conditional" and about[1:] else ""
        where += f" and {', '.join(about[1:])}" if record.group != "conditional" and about[1:] else ""
        figures = f"{number(record.value, 3)}, where fresh rows scored {number(record.floor, 3)}"
        figures += f" and {number(record.ideal, 3)} is ideal" if record.ideal else ""
        names.setdefault(record.measure, f"{plain(record.measure)}{where}: {figures}")
    return list(names.values())[:_WORST]
