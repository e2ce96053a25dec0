import pytest

from microplex.errors import DataError, ParameterError
from microplex.fusion.blocks import assumptions_of, find_sources, plan_blocks

OBSERVED = {"cps": ["age", "wages", "hours"], "tax": ["age", "gains", "wages"], "acs": ["age", "rent"]}


def planned(observed, conditions, targets, authority=None):
    return plan_blocks(find_sources(observed, [*conditions, *targets], authority), conditions, targets)


def test_blocks_are_targets_of_the_same_sources_the_widest_first():
    blocks = planned(OBSERVED, ["age"], ["hours", "rent", "gains", "wages"])
    assert [block.targets for block in blocks] == [("age",), ("wages",), ("hours",), ("rent",), ("gains",)]
    assert [block.sources for block in blocks] == [("cps", "tax", "acs"), ("cps", "tax"), ("cps",), ("acs",), ("tax",)]


def test_a_target_is_given_what_some_source_observes_with_it_and_nothing_else():
    blocks = {block.targets[0]: block for block in planned(OBSERVED, ["age"], ["wages", "hours", "rent", "gains"])}
    assert (blocks["hours"].known, blocks["hours"].apart) == (("age", "wages"), ())
    assert (blocks["rent"].known, blocks["rent"].apart) == (("age",), ("wages", "hours"))
    assert (blocks["gains"].known, blocks["gains"].apart) == (("age", "wages"), ("hours", "rent"))


def test_an_auxiliary_source_links_what_it_observes_together():
    blocks = planned(OBSERVED | {"aux": ["age", "hours", "rent"]}, ["age"], ["hours", "rent"])
    assert blocks[2].linked == ("hours",)
    assert assumptions_of(blocks) == ()


def test_an_authority_leaves_a_variable_to_one_source():
    blocks = planned(OBSERVED, ["age"], ["wages", "hours"], {"wages": "tax"})
    assert blocks[1].sources == ("tax",)
    assert blocks[2].apart == ("wages",)


def test_assumptions_name_both_sides_and_what_is_given():
    found = assumptions_of(planned(OBSERVED, ["age"], ["wages", "hours", "rent", "gains"]))
    assert [str(a) for a in found] == [
        "wages (from cps, tax) and rent (from acs) are independent given age: no source observes both.",
        "hours (from cps) and rent (from acs) are independent given age: no source observes both.",
        "hours (from cps) and gains (from tax) are independent given age, wages: no source observes both.",
        "rent (from acs) and gains (from tax) are independent given age: no source observes both.",
    ]


def test_without_common_variables_nothing_is_given():
    blocks = planned({"a": ["x"], "b": ["y"]}, [], ["x", "y"])
    assert [block.known for block in blocks] == [(), ()]
    assert str(assumptions_of(blocks)[0]) == "x (from a) and y (from b) are independent: no source observes both."


@pytest.mark.parametrize(
    ("wanted", "authority", "error", "text"),
    [
        (["rental"], None, DataError, "'rental' is in no source. Did you mean 'rent'?"),
        (["rent"], {"rent": "asc"}, ParameterError, "which is no source. Did you mean 'acs'?"),
        (["rent"], {"rent": "tax"}, DataError, "does not observe it; acs does"),
        (["rent"], {"rant": "acs"}, ParameterError, "Did you mean 'rent'?"),
    ],
)
def test_wrong_names_are_refused(wanted, authority, error, text):
    with pytest.raises(error) as caught:
        find_sources(OBSERVED, wanted, authority)
    assert text in str(caught.value)
