import numpy as np
import pandas as pd

from microplex.metrics.groups import row_groups


def test_equal_rows_have_one_number():
    rows = np.array([[0.0, np.nan], [1.0, 2.0], [-0.0, -np.nan], [1.0, 3.0]])
    assert row_groups(rows).tolist() == [0, 1, 0, 2]
    assert row_groups(list(rows.T)).tolist() == [0, 1, 0, 2]
    many = np.random.default_rng(0).integers(0, 9, (5000, 4)).astype(float)
    expected = pd.factorize(pd.Series(map(tuple, many)))[0]
    np.testing.assert_array_equal(row_groups(many), expected)
