"""What may read what, as a matrix; features and bases of codes."""

import numpy as np
import pytest

from microplex.flow.layout import Layout
from microplex.flow.spec import Spec, Variable, numeric_features, ordered_basis, unit_degrees


def variable(name, k=4):
    flat = np.log(np.full(k, 1 / k)).astype(np.float32)
    return Variable(name, k, np.eye(k, dtype=np.float32), np.eye(k, dtype=np.float32), -1, flat)


def spec_of(n_conditions, n_targets, width):
    conditions = tuple(variable(f"c{i}") for i in range(n_conditions))
    return Spec(conditions, tuple(variable(f"t{i}") for i in range(n_targets)), width)


@pytest.mark.parametrize("n_conditions", [0, 1, 3])
@pytest.mark.parametrize("n_targets", [1, 2, 3, 7, 16, 31, 33, 70])
@pytest.mark.parametrize("width", [16, 128, 256])
def test_a_target_reads_every_condition_and_exactly_the_targets_before_it(n_conditions, n_targets, width):
    spec = spec_of(n_conditions, n_targets, width)
    for triangular, order in ((True, range(n_targets)), (False, np.random.default_rng(0).permutation(n_targets))):
        layout = Layout(spec, triangular)
        made = layout.constants(list(order))
        owner = np.repeat(np.arange(n_conditions + n_targets), layout.widths)
        reads = np.zeros((n_conditions + n_targets, spec.width))
        np.add.at(reads, owner, made["mask_fixed"])
        hidden = (reads @ made["mask_hidden"] @ made["mask_hidden"] > 0) | (reads > 0)
        seen = np.zeros((n_targets, n_conditions + n_targets), bool)
        for bucket, constants in zip(layout.buckets, made["buckets"], strict=True):
            for target, mask in zip(bucket.targets, constants["reads"], strict=True):
                seen[target] = (hidden[:, : bucket.units] @ mask) > 0
        place = np.argsort(list(order))
        expected = np.hstack([np.ones((n_targets, n_conditions), bool), place[None, :] < place[:, None]])
        assert np.array_equal(seen, expected)
        assert sorted(t for bucket in layout.buckets for t in bucket.targets) == list(range(n_targets))


def test_blocks_skip_only_what_the_masks_hold_at_zero():
    layout = Layout(spec_of(2, 9, 64), triangular=True)
    made = layout.constants(range(9))
    assert len(layout.blocks) > 1
    assert [b.first for b in layout.blocks[1:]] == [b.last for b in layout.blocks[:-1]]
    for block in layout.blocks:
        columns = slice(block.first, block.last)
        assert not made["mask_fixed"][block.n_features :, columns].any()
        assert not made["mask_hidden"][block.last :, columns].any()


def test_degrees_ascend_and_fill_the_width():
    for n_targets in (1, 2, 5, 20, 32):
        degrees = unit_degrees(128, n_targets, 0.55)
        assert len(degrees) == 128
        assert (np.diff(degrees) >= 0).all()
        assert set(degrees) == set(range(max(1, n_targets)))


def test_the_trunk_grows_with_the_targets():
    assert spec_of(1, 100, 128).width == 400
    assert spec_of(1, 10, 128).width == 128


def test_features_tell_codes_apart():
    p = np.random.default_rng(0).dirichlet(np.ones(60))
    position = np.cumsum(p) - 0.5 * p
    features = numeric_features(position, position, np.arange(60) < 3)
    assert len(np.unique(features, axis=0)) == 60
    assert features[:, -3:].sum(axis=0).tolist() == [1, 1, 1]


@pytest.mark.parametrize("n_codes", [1, 2, 4, 5, 40])
def test_a_basis_can_tell_every_code(n_codes):
    basis = ordered_basis(n_codes, 0.3)
    assert len(basis) == n_codes
    assert np.linalg.matrix_rank(basis) == n_codes
