"""YAML of a harmonisation: no anchors out, no key named twice in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from microplex.errors import SchemaError


def dump(content: dict[str, Any]) -> str:
    r"""Return plain values as YAML, in their order; characters that cannot be printed are escaped.

    Examples
    --------
    >>> dump({"recode": {1: "yes"}})
    "recode:\n  1: 'yes'\n"
    """
    text = str(yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110))
    if text.replace("\n", "").isprintable():
        return text
    return str(yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=110))


def load(source: str | Path) -> Any:
    r"""Read YAML from a file, or from text of more than one line.

    Raises
    ------
    SchemaError
        If there is no such file, it is not YAML, or a key is named twice.

    Examples
    --------
    >>> load("variables: {age: {cps: A_AGE},\n age: {acs: AGEP}}")
    Traceback (most recent call last):
    microplex.errors.SchemaError: the YAML names the key 'age' twice (line 2). Name it once.
    """
    if isinstance(source, str) and "\n" in source:
        text = source
    else:
        try:
            text = Path(source).read_text(encoding="utf-8")
        except OSError as error:
            raise SchemaError(f"cannot read the harmonisation '{source}': {error.strerror}.") from error
        except UnicodeDecodeError as error:
            raise SchemaError(f"the harmonisation '{source}' is not text: expected YAML.") from error
    try:
        return yaml.load(text, Loader=UniqueLoader)
    except yaml.YAMLError as error:
        raise SchemaError(f"the harmonisation is not valid YAML: {error}") from error


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        """Return True: a mapping that occurs twice is written twice."""
        return True


class UniqueLoader(yaml.SafeLoader):
    """Loader that refuses a mapping with one key twice, of which YAML would keep the last."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping of a node, of which YAML would keep the last of two equal keys."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                line = key_node.start_mark.line + 1
                raise SchemaError(f"the YAML names the key {key!r} twice (line {line}). Name it once.")
            seen.add(key)
        return dict(super().construct_mapping(node, deep))
