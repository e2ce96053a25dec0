import numpy as np
import pytest

from microplex._estimator import BaseEstimator, clone
from microplex.errors import NotFittedError, ParameterError


class Inner(BaseEstimator):
    def __init__(self, depth=2):
        self.depth = depth


class Outer(BaseEstimator):
    def __init__(self, columns, inner=None, *, rate=0.1):
        self.columns = columns
        self.inner = inner
        self.rate = rate

    def fit(self):
        self.mean_ = 1.0
        return self

    def predict(self):
        self._check_fitted()
        return self.mean_


def test_params_are_those_of_init():
    assert Outer(["a"], rate=0.5).get_params() == {"columns": ["a"], "inner": None, "rate": 0.5}


def test_deep_params_reach_into_estimators():
    outer = Outer(["a"], Inner(3))
    assert outer.get_params()["inner__depth"] == 3
    assert "inner__depth" not in outer.get_params(deep=False)


def test_set_params_returns_self_and_reaches_into_estimators():
    outer = Outer(["a"], Inner(3))
    assert outer.set_params(rate=0.9, inner__depth=5) is outer
    assert (outer.rate, outer.inner.depth) == (0.9, 5)


def test_a_new_inner_estimator_gets_its_params():
    outer = Outer(["a"], Inner(3)).set_params(inner__depth=5, inner=Inner(1))
    assert outer.inner.depth == 5


def test_unknown_param_is_named_with_the_near_miss_and_changes_nothing():
    outer = Outer(["a"])
    with pytest.raises(ParameterError, match=r"Outer has no parameter 'rte'\. Did you mean 'rate'\? It has: columns"):
        outer.set_params(columns=["b"], rte=1)
    assert outer.columns == ["a"]


def test_repr_shows_what_differs_from_the_defaults():
    assert repr(Outer(["a"])) == "Outer(columns=['a'])"
    assert repr(Outer(["a"], Inner(), rate=0.2)) == "Outer(columns=['a'], inner=Inner(), rate=0.2)"
    assert repr(Inner(depth=np.arange(2))) == "Inner(depth=array([0, 1]))"


def test_clone_copies_params_and_no_state():
    fitted = Outer(["a"], Inner(3)).fit()
    copy = clone(fitted)
    assert copy.get_params(deep=False).keys() == fitted.get_params(deep=False).keys()
    assert not hasattr(copy, "mean_")
    copy.columns.append("b")
    copy.inner.set_params(depth=9)
    assert fitted.columns == ["a"]
    assert fitted.inner.depth == 3


def test_the_clone_of_scikit_learn_works():
    base = pytest.importorskip("sklearn.base")
    copy = base.clone(Outer(["a"], Inner(3), rate=0.7).fit())
    assert repr(copy) == "Outer(columns=['a'], inner=Inner(depth=3), rate=0.7)"


def test_state_of_fit_is_asked_for():
    outer = Outer(["a"])
    with pytest.raises(NotFittedError, match=r"This Outer is not fitted\. Call fit first"):
        outer.predict()
    assert outer.fit().predict() == 1.0
