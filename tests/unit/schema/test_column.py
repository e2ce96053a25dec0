import numpy as np
import pytest

from microplex.errors import SchemaError
from microplex.schema import Column


def test_numbers_are_normalised():
    column = Column("x", "semicontinuous", "int", atoms=[5, 0, 5], heaps=[10, 1000], missing_codes=[-8, -9], lower=0)
    assert column.atoms == (0.0, 5.0)
    assert column.heaps == (1000.0, 10.0)
    assert column.missing_codes == (-9.0, -8.0)
    assert isinstance(column.lower, float)


def test_numpy_scalars_become_plain():
    column = Column("x", "categorical", "category", levels=(np.int64(1), np.int64(2)), unknown=np.int64(2))
    assert [type(level) for level in column.levels] == [int, int]
    assert type(column.unknown) is int


@pytest.mark.parametrize(
    ("kind", "numeric"),
    [("continuous", True), ("semicontinuous", True), ("count", True), ("date", True), ("boolean", False)],
)
def test_numeric_kinds(kind, numeric):
    levels = () if numeric else (False, True)
    assert Column("x", kind, "float", levels=levels).is_numeric is numeric


BAD = {
    "kind": ({"kind": "contineous"}, "Did you mean 'continuous'"),
    "dtype": ({"dtype": "int64"}, "dtype must be one of"),
    "missing": ({"missing": "maybe"}, "missing must be one of none, level, unobserved"),
    "name": ({"name": ""}, "non-empty string"),
    "atom below": ({"atoms": (-1.0,), "lower": 0.0}, r"atoms has -1 outside the bounds \[0, inf\]"),
    "atom above": ({"atoms": (9.0,), "upper": 5.0}, "atoms has 9 outside"),
    "bounds": ({"lower": 2.0, "upper": 1.0}, r"lower \(2\) is above upper \(1\)"),
    "top code": ({"top_code": 9.0, "upper": 5.0}, "top_code has 9 outside"),
    "codes crossed": ({"top_code": 1.0, "bottom_code": 2.0}, "is above top_code"),
    "infinite": ({"atoms": (float("inf"),)}, "atoms must be a finite number, got inf"),
    "not a number": ({"upper": "5"}, "upper must be a finite number, got '5'"),
    "truth as number": ({"lower": True}, "lower must be a finite number"),
    "resolution": ({"resolution": 0.0}, "resolution must be positive"),
    "heap too fine": ({"resolution": 10.0, "heaps": (5.0,)}, "heaps must be coarser than the resolution"),
    "code as atom": ({"atoms": (-9.0,), "missing_codes": (-9.0,)}, "both in atoms and a missing code"),
    "levels of numbers": ({"levels": ("a",)}, "belong to categories"),
    "no sequence": ({"atoms": 5.0}, r"atoms must be a sequence, got 5.0. Write \[5.0\]"),
}


@pytest.mark.parametrize(("changes", "message"), BAD.values(), ids=BAD.keys())
def test_contradictions_are_refused(changes, message):
    with pytest.raises(SchemaError, match=message):
        Column(**{"name": "x", "kind": "continuous", "dtype": "float", **changes})


BAD_LEVELS = {
    "none": ({"levels": ()}, "needs levels"),
    "twice": ({"levels": ("a", "b", "a")}, "level 'a' occurs twice"),
    "unknown": ({"levels": ("other", "b"), "unknown": "othr"}, "Did you mean 'other'"),
    "grain": ({"levels": ("a",), "resolution": 1.0}, "resolution belongs to numbers"),
    "type": ({"levels": (None,)}, "level 0 must be a string"),
    "text": ({"levels": "ab"}, "levels must be a sequence"),
}


@pytest.mark.parametrize(("changes", "message"), BAD_LEVELS.values(), ids=BAD_LEVELS.keys())
def test_bad_levels_are_refused(changes, message):
    with pytest.raises(SchemaError, match=message):
        Column(**{"name": "x", "kind": "categorical", "dtype": "string", **changes})


def test_unknown_field_is_named():
    with pytest.raises(SchemaError, match=r"column 'x' has no field 'atomz'\. Did you mean 'atoms'"):
        Column.from_dict({"name": "x", "kind": "count", "dtype": "int", "atomz": []})


def test_absent_field_is_named():
    with pytest.raises(SchemaError, match="column 'x' lacks the field 'kind'"):
        Column.from_dict({"name": "x", "dtype": "int"})
    with pytest.raises(SchemaError, match="fields and values"):
        Column.from_dict("x")
