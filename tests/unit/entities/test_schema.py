"""Entities say what is wrong with them when they are declared."""

import pickle

import pytest

from microplex.entities import US, Entity, GroupEntity, Hierarchy
from microplex.errors import SchemaError

PERSON, HOUSEHOLD = Entity("person"), GroupEntity("household")


def test_defaults_and_irregular_plurals():
    assert (PERSON.table, PERSON.key) == ("persons", "person_id")
    family = GroupEntity("family", table="families", key="fam")
    assert (family.table, family.key, family.roles, family.head) == ("families", "fam", (), None)


def test_the_united_states_fit_the_simulated_population():
    assert US.table_names == ("households", "tax_units", "persons")
    assert US.top.roles[0] == "head"
    assert US.top.unique == ("head", "spouse")
    assert US.top.couple == ("spouse", "partner")
    assert US.group("tax_unit").couple == ("spouse",)
    assert US.group("tax_unit").child == ()
    assert US.group("tax_unit").within == "household"


def test_schemas_are_values():
    group = GroupEntity("unit", roles=("head",), role_col="role", role_map={1: "head"})
    schema = Hierarchy(PERSON, (HOUSEHOLD, group))
    assert pickle.loads(pickle.dumps(schema)) == schema
    assert hash(schema) == hash(Hierarchy(PERSON, (HOUSEHOLD, group)))


def test_groups_are_within_the_top_unless_they_say_otherwise():
    schema = Hierarchy(PERSON, (HOUSEHOLD, GroupEntity("family", "families"), GroupEntity("couple", within="family")))
    assert [group.name for group in schema.containers("couple")] == ["family", "household"]
    assert [group.name for group in schema.containers("family")] == ["household"]


def test_a_level_whose_parent_is_missing_offers_the_nearest():
    with pytest.raises(SchemaError, match=r"tax_unit is within 'houshold', which is no group.*mean 'household'"):
        Hierarchy(PERSON, (HOUSEHOLD, GroupEntity("tax_unit", within="houshold")))


def test_groups_in_a_circle():
    first, second = GroupEntity("a", within="b"), GroupEntity("b", within="a")
    with pytest.raises(SchemaError, match="circle: a within b within a"):
        Hierarchy(PERSON, (HOUSEHOLD, first, second))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Entity("tax unit"), "plain word"),
        (lambda: Entity("person", key=3), "name of a column"),
        (lambda: GroupEntity("unit", roles=("head", "head"), role_col="role"), "'head' is listed twice"),
        (lambda: GroupEntity("unit", roles=("head",)), "without role_col"),
        (lambda: GroupEntity("unit", role_col="role"), "without roles"),
        (lambda: GroupEntity("unit", roles=("head", 3), role_col="role"), "must be names; got 3"),
        (lambda: GroupEntity("unit", roles=("head", "child"), role_col="r", unique=("hed",)), "mean 'head'"),
        (lambda: GroupEntity("unit", roles=("head", "wife"), role_col="r", couple=("wive",)), "mean 'wife'"),
        (lambda: GroupEntity("unit", roles=("head", "son"), role_col="r", child=("daughter",)), "no role"),
        (lambda: GroupEntity("unit", roles=("head",), role_col="r", role_map={1: "haed"}), "mean 'head'"),
        (lambda: GroupEntity("unit", roles=("head",), role_col="r", role_map={}), "must map"),
        (lambda: Hierarchy(PERSON, ()), "one GroupEntity or more"),
        (lambda: Hierarchy(PERSON, (PERSON,)), "one GroupEntity or more"),
        (lambda: Hierarchy(HOUSEHOLD, (HOUSEHOLD,)), "member must be an Entity"),
        (lambda: Hierarchy(PERSON, (HOUSEHOLD, HOUSEHOLD)), "the name 'household'"),
        (lambda: Hierarchy(PERSON, (HOUSEHOLD, GroupEntity("unit", table="persons"))), "the table 'persons'"),
        (lambda: Hierarchy(PERSON, (HOUSEHOLD, GroupEntity("unit", key="person_id"))), "the key 'person_id'"),
        (lambda: Hierarchy(PERSON, (GroupEntity("household", within="x"),)), "the top; it cannot be within"),
        (lambda: US.entity("person_s"), "mean 'persons'"),
        (lambda: US.group("person"), "Groups: household, tax_unit"),
        (lambda: US.top.role_numbers("spuse"), "mean 'spouse'"),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises(SchemaError, match=message):
        make()
