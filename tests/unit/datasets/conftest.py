import pytest

from microplex.datasets import make_population, person_extract


@pytest.fixture(scope="session")
def population():
    return make_population(4000, seed=1)


@pytest.fixture(scope="session")
def adults(population):
    return person_extract(population)
