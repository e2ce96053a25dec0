"""Pieces of HTML. Every text of the data or the caller is escaped here."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence

_KINDS = {
    "as real": ("real", "●"),
    "exact": ("real", "●"),
    "near": ("near", "▲"),
    "off": ("off", "■"),
    "broken": ("off", "■"),
    "not defined": ("none", "–"),
}


def text(value: object) -> str:
    """Return text for use between tags.

    Examples
    --------
    >>> text("a < b & 'c'")
    'a &lt; b &amp; &#x27;c&#x27;'
    """
    line = "".join(c if c.isprintable() else " " for c in str(value))
    return html.escape(line.replace(" %", "\N{NO-BREAK SPACE}%"))


attribute = text


def paragraph(words: object, kind: str = "") -> str:
    """Return a paragraph.

    Examples
    --------
    >>> paragraph("No <b>", "note")
    '<p class="note">No &lt;b&gt;</p>'
    """
    return f'<p class="{kind}">{text(words)}</p>' if kind else f"<p>{text(words)}</p>"


def listing(lines: Iterable[object], kind: str = "") -> str:
    """Return a list of lines.

    Examples
    --------
    >>> listing(["one"])
    '<ul><li>one</li></ul>'
    """
    opening = f'<ul class="{kind}">' if kind else "<ul>"
    return opening + "".join(f"<li>{text(line)}</li>" for line in lines) + "</ul>"


def figure(picture: str, caption: str = "", kind: str = "") -> str:
    """Return a picture with its caption; the caption is HTML."""
    below = f"<figcaption>{caption}</figcaption>" if caption else ""
    return f'<figure class="{kind}">{picture}{below}</figure>' if kind else f"<figure>{picture}{below}</figure>"


def section(name: str, title: str, *content: str) -> str:
    """Return a part of the page with its heading.

    Examples
    --------
    >>> section("privacy", "Privacy", "<p>None.</p>")
    '<section id="privacy" aria-labelledby="privacy-title"><h2 id="privacy-title">Privacy</h2><p>None.</p></section>'
    """
    head = f'<h2 id="{name}-title">{text(title)}</h2>'
    return f'<section id="{name}" aria-labelledby="{name}-title">{head}{"".join(content)}</section>'


def table(caption: str, headers: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int] = ()) -> str:
    """Return a table; the cells are HTML already, caption and headers are not.

    Parameters
    ----------
    caption : str
    headers : sequence of str
    rows : iterable of sequence of str
    numbers : iterable of int
        Columns of numbers.

    Returns
    -------
    str

    Examples
    --------
    >>> "<td>1</td>" in table("Pairs", ["n"], [["1"]])
    True
    """
    right = set(numbers)
    kinds = [' class="number"' if i in right else "" for i in range(len(headers))]
    head = "".join(f'<th scope="col"{kind}>{text(name)}</th>' for name, kind in zip(headers, kinds, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{cell}</td>" for cell, kind in zip(row, kinds, strict=True)) + "</tr>"
        for row in rows
    )
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{attribute(caption)}"><table>'
        f"<caption>{text(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def light(verdict: str) -> str:
    """Return a verdict as a shape of its own, a colour and the word.

    Examples
    --------
    >>> light("off")
    '<span class="light off"><span aria-hidden="true">■</span> off</span>'
    """
    kind, shape = _KINDS.get(verdict, ("none", "○"))
    return f'<span class="light {kind}"><span aria-hidden="true">{shape}</span> {text(verdict or "not judged")}</span>'


def number(value: float, digits: int = 4) -> str:
    """Write a number with a few digits; nothing where there is none.

    Examples
    --------
    >>> number(0.012345), number(1234567.8), number(float("nan")), number(-0.5)
    ('0.01235', '1,234,568', '', '\N{MINUS SIGN}0.5')
    """
    if math.isnan(value):
        return ""
    size = abs(value)
    words = f"{size:,.0f}" if 1000 <= size < 1e12 else f"{size:.{digits}g}"
    return ("\N{MINUS SIGN}" if value < 0 and float(words.replace(",", "")) else "") + words
