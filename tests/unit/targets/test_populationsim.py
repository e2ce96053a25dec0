import json

import numpy as np
import pandas as pd
import pytest

from microplex.errors import ColumnNotFoundError, DataError, ParameterError
from microplex.targets import Target, TargetSet, build_design

SETTINGS = """
geographies: [REGION, PUMA, TRACT]
seed_geography: PUMA
household_weight_col: WGTP
total_hh_control: num_hh
input_table_list:
  - tablename: households
    filename : seed_households.csv
  - tablename: geo_cross_walk
    filename : geo_cross_walk.csv
  - tablename: TRACT_control_data
    filename : tract_controls.csv
    {rename}:
      TRACTCE: TRACT
  - tablename: REGION_control_data
    filename : region_controls.csv
"""
CONTROLS = """target,geography,seed_table,importance,control_field,expression
num_hh,TRACT,households,1000000000,HHBASE,(households.WGTP > 0) & (households.WGTP < np.inf)
hh_size_4_plus,TRACT,households,5000,HHSIZE4,households.NP >=4
occ,REGION,persons,,OCCP1,(persons.OCCP == 1) | (persons.OCCP == 2)
none,REGION,persons,1000,OCCP0,persons.OCCP.isna()
workers,REGION,households,500,WORKERS,households.NWESR
"""


@pytest.fixture(params=["column_map", "rename_columns"])
def folder(tmp_path, request):
    (tmp_path / "configs").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "configs" / "settings.yaml").write_text(SETTINGS.format(rename=request.param))
    (tmp_path / "configs" / "controls.csv").write_text(CONTROLS)
    (tmp_path / "data" / "tract_controls.csv").write_text("TRACTCE,HHBASE,HHSIZE4\n10,40,12\n11,50,0\n")
    (tmp_path / "data" / "region_controls.csv").write_text("REGION,OCCP1,OCCP0,WORKERS\n1,60,90,70.5\n")
    return tmp_path


def test_a_folder_is_read_unchanged(folder):
    targets = TargetSet.from_populationsim(folder)
    everybody = "missing_false((households.WGTP > 0) & (households.WGTP < np.inf))"
    large = "missing_false(households.NP >=4)"
    first = {"entity": "households", "where": everybody, "importance": 1e9}
    second = {"entity": "households", "where": large, "importance": 5000}
    assert list(targets) == [
        Target(40, by={"TRACT": 10}, name="num_hh, TRACT=10", **first),
        Target(50, by={"TRACT": 11}, name="num_hh, TRACT=11", **first),
        Target(12, by={"TRACT": 10}, name="hh_size_4_plus, TRACT=10", **second),
        Target(0, by={"TRACT": 11}, name="hh_size_4_plus, TRACT=11", **second),
        Target(
            60,
            by={"REGION": 1},
            name="occ, REGION=1",
            entity="persons",
            where="missing_false((persons.OCCP == 1) | (persons.OCCP == 2))",
        ),
        Target(
            90,
            by={"REGION": 1},
            name="none, REGION=1",
            entity="persons",
            where="missing_false(persons.OCCP.isna())",
            importance=1000,
        ),
        Target(70.5, "NWESR", {"REGION": 1}, entity="households", name="workers, REGION=1", importance=500),
    ]


def test_the_design_of_a_folder(folder):
    households = pd.DataFrame(
        {
            "household_id": [1, 2, 3],
            "TRACT": [10, 11, 10],
            "NP": [4, 1, None],
            "NWESR": [2, 1, 0],
            "WGTP": [1.0, 2.0, 3.0],
        }
    )
    persons = pd.DataFrame({"household_id": [1, 1, 2, 3], "OCCP": [1, 2, None, 7]})
    built = build_design(
        households,
        TargetSet.from_populationsim(folder),
        weight_col="WGTP",
        persons=persons,
        crosswalk=pd.DataFrame({"TRACT": [10, 11, 12], "REGION": [1, 1, 1]}),
    )
    assert built.design.toarray().tolist() == [
        [1, 0, 1],
        [0, 1, 0],
        [1, 0, 0],
        [0, 0, 0],
        [2, 0, 0],
        [0, 1, 0],
        [2, 1, 0],
    ]


def test_other_places_of_the_files(folder):
    whole = TargetSet.from_populationsim(folder)
    assert TargetSet.from_populationsim(folder / "configs" / "controls.csv") == whole
    (folder / "configs").rename(folder / "setup")
    (folder / "data").rename(folder / "tables")
    assert TargetSet.from_populationsim(folder, configs="setup", data="tables") == whole
    flat = folder / "flat"
    flat.mkdir()
    for file in [*(folder / "setup").iterdir(), *(folder / "tables").iterdir()]:
        (flat / file.name).write_bytes(file.read_bytes())
    assert TargetSet.from_populationsim(flat) == whole
    (flat / "controls.csv").rename(flat / "other.csv")
    assert TargetSet.from_populationsim(flat / "other.csv") == whole


@pytest.mark.parametrize(
    ("old", "new", "error", "problem"),
    [
        ("HHSIZE4,ho", "HHSIZE5,ho", ColumnNotFoundError, "row 1 .*'HHSIZE5' not in data. Did you mean 'HHSIZE4'"),
        ("occ,REGION", "occ,REGIN", DataError, "no table 'REGIN_control_data' .*Did you mean 'REGION_control_data'"),
        ("occ,REGION,persons", "occ,REGION,people", DataError, "seed_table must be .* got 'people'"),
        ("NP >=4", "NP >= open('x')", ParameterError, r"row 1 \(target 'hh_size_4_plus'\): filter, character"),
        ("households.NP >=4", "homes.NP >=4", ParameterError, "are households and persons, not 'homes'"),
        ("households.NWESR", "persons.NWESR", ParameterError, "cannot be summed over households"),
        (",expression", ",expresion", ColumnNotFoundError, "controls.csv column 'expression' not in data"),
    ],
)
def test_bad_controls(folder, old, new, error, problem):
    file = folder / "configs" / "controls.csv"
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(error, match=problem):
        TargetSet.from_populationsim(folder)


def test_bad_folders(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        TargetSet.from_populationsim(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match=r"settings.yaml.*which tables hold the control totals"):
        TargetSet.from_populationsim(folder / "data")
    (folder / "data" / "tract_controls.csv").write_text("TRACTCE,HHBASE,HHSIZE4\n10,40,12\n11,,0\n")
    with pytest.raises(DataError, match="the TRACT control table has no HHBASE in row 1"):
        TargetSet.from_populationsim(folder)
    (folder / "data" / "tract_controls.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"tract_controls.csv"):
        TargetSet.from_populationsim(folder)
    for text, problem in (("- a", "must hold settings"), ("a: [", "cannot be read")):
        (folder / "configs" / "settings.yaml").write_text(text)
        with pytest.raises(DataError, match=problem):
            TargetSet.from_populationsim(folder)


def expression(spec):
    column, value = f"{spec['table']}.{spec['seed_column']}", spec["value"]
    return {
        "all": f"({column} > 0) & ({column} < np.inf)",
        "eq": f"{column} == {value!r}",
        "in": f"{column}.isin({value!r})",
        "ge": f"{column} >= {value!r}",
        "missing": f"{column}.isna()",
    }[spec["operator"]]


def incidence(spec, table):
    column = table[spec["seed_column"]]
    return {
        "all": lambda: pd.Series(True, index=table.index),
        "eq": lambda: column == spec["value"],
        "in": lambda: column.isin(spec["value"]),
        "ge": lambda: column >= spec["value"],
        "missing": column.isna,
    }[spec["operator"]]()


def test_the_real_controls_of_a_household_survey(shared_data, tmp_path):
    source = shared_data("popsim_survey")
    specs = json.loads((source / "control_spec.json").read_text())
    households = pd.read_parquet(source / "households.parquet")
    persons = pd.read_parquet(source / "persons.parquet")
    controls = pd.read_parquet(source / "controls_cluster.parquet")
    table = pd.DataFrame(
        {
            "target": [spec["control"] for spec in specs],
            "geography": [spec["geography"] for spec in specs],
            "seed_table": [spec["table"] for spec in specs],
            "importance": [spec["importance"] for spec in specs],
            "control_field": [spec["control_column"] for spec in specs],
            "expression": [expression(spec) for spec in specs],
        }
    )
    table.to_csv(tmp_path / "controls.csv", index=False)
    controls.to_csv(tmp_path / "cluster.csv", index=False)
    (tmp_path / "settings.yaml").write_text(
        "input_table_list: [{tablename: cluster_control_data, filename: cluster.csv}]"
    )
    targets = TargetSet.from_populationsim(tmp_path)
    built = build_design(households, targets, persons=persons)
    assert built.design.shape == (100, 27_980)
    weights = np.random.default_rng(0).uniform(1, 9, len(households))
    by_home = pd.Series(weights, index=households["household_id"])
    home = households.set_index("household_id")["cluster"]
    expected, figures = [], []
    for spec in specs:
        rows = persons if spec["table"] == "persons" else households
        inside = incidence(spec, rows).fillna(False).astype(bool)
        ids = rows.loc[inside, "household_id"]
        sums = by_home.loc[ids].groupby(home.loc[ids].to_numpy()).sum()
        expected += [sums.get(cluster, 0.0) for cluster in controls["cluster"]]
        figures += controls[spec["control_column"]].tolist()
    np.testing.assert_allclose(built.achieved(weights), expected, rtol=1e-12)
    np.testing.assert_array_equal(built.values, figures)
