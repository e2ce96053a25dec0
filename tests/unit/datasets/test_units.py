import numpy as np
import pandas as pd
import pytest

from microplex.datasets.structure import RELATIONSHIPS
from microplex.datasets.units import assign_units, snap_entitlement


def household(*members):
    persons = pd.DataFrame(members, columns=["relationship", "age"]).assign(household_id=1)
    return persons.assign(relationship=pd.Categorical(persons["relationship"], RELATIONSHIPS))


def test_units_are_head_and_spouse_with_dependants_and_every_other_adult():
    members = [("head", 40), ("spouse", 38), ("child", 19), ("child", 18), ("parent", 70), ("other_relative", 5)]
    units = assign_units(household(*members), seed=0)
    assert (units["tax_unit_id"] - 100).tolist() == [1, 1, 2, 1, 3, 1]
    assert units["tax_role"].tolist() == ["head", "spouse", "head", "dependant", "head", "dependant"]


def test_partners_file_apart():
    units = assign_units(household(("head", 40), ("partner", 38), ("nonrelative", 20)), seed=0)
    assert units["tax_role"].tolist() == ["head"] * 3


@pytest.mark.parametrize(
    ("n_persons", "wages", "total", "expected"),
    [
        (1, 0.0, 0.0, 12 * 291),
        (4, 0.0, 0.0, 12 * 973),
        (10, 0.0, 0.0, 12 * (1751 + 2 * 219)),
        (1, 0.0, 12_000.0, 12 * (291 - 241)),  # 0.3 (1000 - 198), rounded up
        (1, 12_000.0, 12_000.0, 12 * (291 - 181)),  # 0.3 (1000 - 200 - 198), rounded up
        (1, 0.0, 18_000.0, 12 * 23),
        (3, 0.0, 32_000.0, 12 * (766 - 741)),
        (3, 0.0, 33_000.0, 0.0),
        (1, 19_000.0, 19_000.0, 0.0),
        (2, 0.0, -5_000.0, 12 * 535),
    ],
)
def test_food_stamps_follow_the_rule(n_persons, wages, total, expected):
    unit = {"n_persons": [n_persons], "wages": [wages], "self_employment": [0.0], "total_income": [total]}
    assert snap_entitlement(pd.DataFrame(unit)).tolist() == [expected]


def test_filing_status_follows_the_members(population):
    units, persons = population.tax_units, population.persons
    heads = persons[persons["tax_role"] == "head"].set_index("tax_unit_id").reindex(units["tax_unit_id"])
    married = (heads["marital"] == "married").to_numpy()
    status = units["filing_status"].to_numpy()
    assert np.isin(status[married], ["joint", "separate"]).all()
    assert np.isin(status[~married], ["single", "head_of_household"]).all()
    assert ((status == "head_of_household") == (~married & (units["n_dependants"] > 0).to_numpy())).all()
    assert (units["filing_status"] == "separate").any()
