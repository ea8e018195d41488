"""How the estimators' parameters configure a stochastic rule that is given by its name."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from skopt_dl import MLPClassifier, MLPRegressor
from skopt_dl.solvers import AdaGrad, Momentum, RMSprop

pytestmark = pytest.mark.filterwarnings("ignore:MLP.* did not converge")


@pytest.fixture(scope="module")
def data():
    X, y = load_digits(return_X_y=True)
    return X[:200] / 16, y[:200]


def same(data, one, two, **parameters):
    """Whether both solvers give the same network."""
    fits = [
        MLPClassifier((8,), solver=s, max_iter=3, random_state=0, **p).fit(*data)
        for s, p in ((one, parameters), (two, {}))
    ]
    return all(np.array_equal(a, b) for a, b in zip(fits[0].coefs_, fits[1].coefs_, strict=True))


def test_a_rule_of_its_own_keeps_its_defaults(data):
    assert same(data, "adagrad", AdaGrad())
    assert same(data, "rmsprop", RMSprop())


def test_a_changed_parameter_configures_it(data):
    rule = AdaGrad(learning_rate=0.05, epsilon=1e-3)
    assert same(data, "adagrad", rule, learning_rate_init=0.05, epsilon=1e-3)
    assert not same(data, "adagrad", AdaGrad(), learning_rate_init=0.05)


def test_the_rules_of_scikit_learn_have_its_defaults(data):
    assert same(data, "momentum", Momentum(learning_rate=1e-3))


def test_an_average_is_what_predicts(data):
    X, y = data
    fits = {
        average: MLPRegressor(
            hidden_layer_sizes=(8,),
            solver=Momentum(learning_rate=0.01, average=average),
            max_iter=4,
            random_state=0,
        )
        for average in (None, "polyak")
    }
    for model in fits.values():
        model.fit(X, y)
    state = fits["polyak"]._state
    assert not np.allclose(fits[None].coefs_[0], fits["polyak"].coefs_[0])
    np.testing.assert_allclose(state.iterate[: X.shape[1] * 8], fits[None].coefs_[0].ravel())
