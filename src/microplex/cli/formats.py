"""Numbers in words."""

from __future__ import annotations


def number(value: float, digits: int = 6) -> str:
    """Write a number with thousands separated; what is not whole to some digits.

    Examples
    --------
    >>> number(25000.0), number(0.001), number(-1234.5678)
    ('25,000', '0.001', '-1,234.57')
    """
    whole = abs(value) < 1e15 and value == round(value)
    return f"{value:,.0f}" if whole or abs(value) >= 10**digits else f"{value:,.{digits}g}"


def share(value: float, none: str = "0%") -> str:
    """Write a share in percent, never as 0 or 100 where it is not.

    Examples
    --------
    >>> share(0.4567), share(0.0123), share(0.00001), share(0.99999), share(0.0), share(1.0)
    ('46%', '1.2%', '<0.1%', '>99.9%', '0%', '100%')
    """
    if value in (0, 1):
        return none if value == 0 else "100%"
    if not 0.001 <= value <= 0.999:
        return "<0.1%" if value < 0.5 else ">99.9%"
    return f"{100 * value:.0f}%" if 0.0995 <= value <= 0.9905 else f"{100 * value:.1f}%"
