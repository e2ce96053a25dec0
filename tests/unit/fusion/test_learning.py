import numpy as np
import pandas as pd
import pytest

from microplex.constraints import parse
from microplex.encoding import Settings
from microplex.errors import ConstraintError, DataError
from microplex.flow.data import default_options
from microplex.fusion.blocks import find_sources, plan_blocks
from microplex.fusion.intake import assign_constraints
from microplex.fusion.learning import SOURCE, _options, fit_law
from microplex.fusion.lifting import lift
from microplex.fusion.reading import Rows, read_sources, read_weights
from microplex.schema import Column, Schema

N = 120
QUICK = Settings(epochs=1, n_orders=0)


def people(seed):
    draw = np.random.default_rng(seed)
    spouse = np.where(draw.random(N) < 0.5, np.nan, np.round(draw.lognormal(5, 1, N)))
    return pd.DataFrame({"age": draw.integers(20, 60, N), "spouse": spouse, "rent": draw.integers(1, 60, N) * 10.0})


def read(frames, schema=None):
    observed = {name: list(frame) for name, frame in frames.items()}
    of = find_sources(observed, ["age", "spouse", "rent"])
    data = read_sources(frames, ["age", "spouse", "rent"], read_weights(frames, None), of, schema, None)
    return data, plan_blocks(of, ["age"], ["spouse", "rent"])


def quiet(share, score):
    pass


@pytest.fixture(scope="module")
def linked():
    frames = {"a": people(0)[["age", "spouse"]], "b": people(1)[["age", "rent"]], "aux": people(2)}
    schema = Schema((Column("spouse", "continuous", "float", missing="level", resolution=1.0, lower=0.0),))
    data, blocks = read(frames, schema)
    block = blocks[2]
    return data, fit_law(block, [*block.known, *block.linked], data, [], QUICK, quiet)


def test_a_block_reads_what_is_observed_with_it_and_from_which_source(linked):
    _, law = linked
    assert law.block.linked == ("spouse",)
    assert law.encoder.conditions == ("age", "spouse", SOURCE)
    assert law.report.n_rows == 2 * N


def test_what_no_source_observes_together_is_no_input():
    data, blocks = read({"a": people(0)[["age", "spouse"]], "b": people(1)[["age", "rent"]]})
    law = fit_law(blocks[2], blocks[2].known, data, [], QUICK, quiet)
    assert law.encoder.conditions == ("age",)
    assert SOURCE not in law.encoder.conditions


def test_no_spouse_is_not_the_same_as_an_unknown_one(linked):
    data, law = linked
    values = {"age": np.array([30.0, 30.0, 30.0]), "spouse": np.array([np.nan, np.nan, 200.0])}
    seen = {"age": np.ones(3, bool), "spouse": np.array([True, False, True])}
    codes = law.encoder.condition_codes(law.given(Rows(values, seen, 3), None), 3)[:, 1]
    assert codes[1] == -1
    assert codes[0] >= 0
    assert codes[0] != codes[2]
    assert (np.unique(data.rows.values["spouse"]) >= 0).sum() > 10


def test_the_source_is_unknown_unless_named(linked):
    data, law = linked
    rows = data.rows.take(np.arange(2))
    place = law.encoder.conditions.index(SOURCE)
    assert law.encoder.condition_codes(law.given(rows, None), 2)[:, place].tolist() == [-1, -1]
    assert law.encoder.condition_codes(law.given(rows, "aux"), 2)[:, place].tolist() == [1, 1]
    assert law.encoder.condition_codes(law.given(rows, "a"), 2)[:, place].tolist() == [-1, -1]


def test_rows_that_observe_no_target_of_the_block_are_left_out():
    b = people(1)[["age", "rent"]].assign(rent=lambda f: f["rent"].where(f.index % 3 > 0))
    data, blocks = read({"a": people(0)[["age", "spouse"]], "b": b})
    law = fit_law(blocks[2], blocks[2].known, data, [], QUICK, quiet)
    assert law.report.n_rows == N - N // 3
    few = b.assign(rent=lambda f: f["rent"].where(f.index < 20))
    data, blocks = read({"a": people(0)[["age", "spouse"]], "b": few})
    with pytest.raises(DataError, match="the block of rent has 13 rows that observe it; it needs 50"):
        fit_law(blocks[2], blocks[2].known, data, [], QUICK, quiet)


def test_an_error_of_a_block_names_it_and_its_sources():
    data, blocks = read({"a": people(0)[["age", "spouse"]], "b": people(1)[["age", "rent"]]})
    with pytest.raises(ConstraintError, match=r"the block of rent \(from b\): constraint 'rent <= 100' is broken"):
        fit_law(blocks[2], blocks[2].known, data, parse(["rent <= 100"]), QUICK, quiet)


def test_a_constraint_belongs_to_the_last_block_that_it_ties():
    frames = {"a": people(0)[["age", "spouse"]], "b": people(1)[["age", "rent"]], "aux": people(2)}
    _, blocks = read(frames)
    found = assign_constraints(parse(["age >= 0", "rent >= 0", "spouse <= rent"]), blocks)
    assert [[str(c) for c in part] for part in found] == [["age >= 0"], [], ["rent >= 0", "spouse <= rent"]]


def test_half_of_a_large_file_is_trained_as_the_whole_is():
    assert _options(20_000).batch == default_options(30_000).batch
    assert (_options(20_000).members, _options(50_000).members) == (3, 1)
    assert _options(20_000).mask_rate == default_options(30_000).mask_rate
    assert _options(10_000) == default_options(10_000)
    assert _options(50_000) == default_options(50_000)


def test_a_linked_block_is_trained_again_with_what_its_rows_do_not_know_drawn(linked):
    data, once = linked
    blocks = plan_blocks(
        {"age": ("a", "b", "aux"), "spouse": ("a", "aux"), "rent": ("b", "aux")}, ["age"], ["spouse", "rent"]
    )
    before = [fit_law(block, block.known, data, [], QUICK, quiet) for block in blocks[:2]]
    again = lift(before, once, data, [], QUICK, quiet)
    assert again.encoder.conditions == once.encoder.conditions
    assert again.report.n_rows == once.report.n_rows
    arrays = [law.ensemble.members[0].network.to_arrays() for law in (once, again)]
    assert any(not np.array_equal(arrays[0][name], arrays[1][name]) for name in arrays[0])
    assert data.rows.seen["spouse"].sum() == 2 * N  # the sources themselves stay as they were
    assert lift([], before[0], data, [], QUICK, quiet) is before[0]
