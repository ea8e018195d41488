"""Settings follow scikit-learn's parameter protocol without importing it."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone

from skopt_dl.engine import Settings
from skopt_dl.penalties import ElasticNet
from skopt_dl.solvers.proximal_gradient import FISTA


class Outer(Settings):
    def __init__(self, inner=None, size=1):
        self.inner, self.size = inner, size


def test_params_round_trip_with_nested_settings():
    outer = Outer(inner=FISTA(restart=False))
    params = outer.get_params()
    assert params["inner__restart"] is False
    outer.set_params(inner__restart=True, size=3)
    assert outer.inner.restart is True
    assert outer.size == 3


def test_a_misspelt_parameter_is_an_error_that_lists_the_right_ones():
    with pytest.raises(ValueError, match=r"no parameter 'restrat'.*'restart'"):
        FISTA().set_params(restrat=False)
    with pytest.raises(TypeError):
        FISTA(restrat=False)


def test_clone_equality_and_pickle():
    solver = FISTA(restart=False)
    assert clone(solver) == solver
    assert clone(solver) is not solver
    assert pickle.loads(pickle.dumps(solver)) == solver
    assert solver != FISTA()
    assert hash(solver) == hash(FISTA(restart=False))


def test_equality_looks_at_every_entry_of_an_array():
    weights = np.ones(5000)
    other = weights.copy()
    other[2500] = 2
    assert ElasticNet(l1=weights) == ElasticNet(l1=weights.copy())
    assert ElasticNet(l1=weights) != ElasticNet(l1=other)
    assert ElasticNet(l1=weights) != ElasticNet(l1=1.0)


def test_repr_shows_what_differs_from_the_defaults():
    assert repr(FISTA()) == "FISTA()"
    assert repr(FISTA(restart=False)) == "FISTA(restart=False)"
    assert repr(ElasticNet(l1=0.5, l2=0.1)) == "ElasticNet(l1=0.5, l2=0.1)"
