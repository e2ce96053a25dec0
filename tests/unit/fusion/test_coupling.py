import numpy as np
import pytest

from microplex.errors import ColumnNotFoundError, ParameterError
from microplex.fusion.coupling import Links, link, read_association
from microplex.fusion.walking import cholesky

BLOCKS = [["age"], ["wages", "hours"], ["rent"], ["gains"]]
APART = [set(), set(), {"wages", "hours"}, set()]


def test_a_number_goes_to_all_pairs_of_blocks_that_no_source_observes_together():
    found = read_association(0.5, BLOCKS, APART)
    assert set(found) == {("wages", "rent"), ("hours", "rent")}
    assert found["wages", "rent"] == pytest.approx(0.5 / np.sqrt(2))


def test_pairs_may_be_named_in_either_order():
    assert read_association({("rent", "hours"): -1}, BLOCKS, APART) == {("hours", "rent"): -1.0}


def test_a_pair_with_two_values_is_refused_and_the_same_value_twice_is_not():
    with pytest.raises(ParameterError, match="'wages' and 'rent' is given twice, as 1 and as -1"):
        read_association({("wages", "rent"): 1, ("rent", "wages"): -1}, BLOCKS, APART)
    assert len(read_association({("wages", "rent"): 0.5, ("rent", "wages"): 0.5}, BLOCKS, APART)) == 1


def test_a_number_for_three_blocks_that_cannot_all_oppose_each_other_is_shrunk():
    blocks, apart = [["a"], ["b"], ["c"]], [set(), {"a"}, {"a", "b"}]
    with pytest.warns(UserWarning, match=r"multiplied by 0\.50"):
        link(blocks, read_association(-1.0, blocks, apart))


@pytest.mark.parametrize("rho", [-1.0, 1.0])
def test_the_largest_correlation_of_a_pair_is_no_shrinking(rho):
    link(BLOCKS, read_association(rho, BLOCKS, APART))
    link(BLOCKS, {("wages", "rent"): rho})


def test_a_number_without_an_open_pair_moves_nothing():
    with pytest.warns(UserWarning, match=r"association=0\.5 has nothing to move"):
        assert read_association(0.5, BLOCKS, [set()] * 4) == {}
    assert read_association(0.0, BLOCKS, [set()] * 4) == {}


@pytest.mark.parametrize(
    ("association", "error", "text"),
    [
        (1.5, ParameterError, "between -1 and 1; got 1.5"),
        (True, ParameterError, "between -1 and 1"),
        ({("wages", "rnt"): 0.1}, ColumnNotFoundError, "Did you mean 'rent'"),
        ({("wages", "gains"): 0.1}, ParameterError, "a source observes both"),
        ({"wages": 0.1}, ParameterError, "pairs of variables"),
    ],
)
def test_wrong_associations_are_refused(association, error, text):
    with pytest.raises(error, match=text):
        read_association(association, BLOCKS, APART)


def test_links_that_no_joint_law_has_are_shrunk_together():
    with pytest.warns(UserWarning, match=r"multiplied by 0\.79 \(that of 'a' and 'c', 0\.90, becomes 0\.71\)"):
        links = link([["a", "b"], ["c"]], {("a", "c"): 0.9, ("b", "c"): 0.9})
    assert np.linalg.eigvalsh(links.matrix).min() > 0
    assert links.matrix[0, 1] == 0
    assert links.matrix[0, 2] == links.matrix[1, 2] == pytest.approx(np.sqrt(0.5), abs=1e-3)


def test_scores_of_later_blocks_follow_those_of_earlier_ones():
    links = link([["a"], ["c"]], {("a", "c"): 0.6})
    mean, covariance = links.shift(["c"], {"a": np.array([1.0, -2.0])}, np.arange(2))
    assert mean[:, 0].tolist() == pytest.approx([0.6, -1.2])
    assert covariance[0, 0] == pytest.approx(0.64)
    assert links.shift(["a"], {}, np.arange(2)) is None


def test_without_association_nothing_is_joined():
    assert not Links.none().joins(["a"])
    assert link([["a"], ["c"]], {("a", "c"): 0.0}).names == ()


def test_factor_of_a_covariance():
    covariance = np.array([[1.0, 0.3], [0.3, 0.5]])
    factor = cholesky(covariance)
    assert np.allclose(factor @ factor.T, covariance)
    assert factor[0, 1] == pytest.approx(0.0)
    assert np.isfinite(cholesky(np.zeros((2, 2)))).all()
