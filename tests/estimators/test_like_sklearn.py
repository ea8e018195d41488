"""Every estimator that scikit-learn has, too, looks like scikit-learn's: found by introspection.

Parameters with their defaults, public methods with their arguments, and every fitted attribute with
its shape and type. What differs on purpose stands in a table below, with its reason.
"""

from __future__ import annotations

import inspect
import warnings
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.base import is_classifier
from sklearn.datasets import load_diabetes, load_iris
from sklearn.utils import all_estimators, get_tags

import skopt_dl

THEIRS = {name: kind for name, kind in all_estimators() if name in dir(skopt_dl)}
NAMES = sorted(THEIRS)

# (class, attribute): why ours is of another type than scikit-learn's.
OTHER_TYPES = {
    ("Ridge", "n_iter_"): "a direct solver counts as one iteration, where scikit-learn has None",
    ("RidgeClassifier", "n_iter_"): "the same",
}
# Parameters of methods that scikit-learn is about to drop.
DEPRECATED = {"n_alphas"}
# Metadata of ours alone: samples of one's own to stop by.
VALIDATION = {"X_val", "y_val"}


def public(kind: type) -> set[str]:
    """Names of the public methods and properties."""
    members = {name: getattr(kind, name) for name in dir(kind) if not name.startswith("_")}
    return {n for n, m in members.items() if callable(m) or isinstance(m, property)}


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_defaults(name: str) -> None:
    theirs = inspect.signature(THEIRS[name]).parameters
    ours = inspect.signature(getattr(skopt_dl, name)).parameters
    assert list(ours)[: len(theirs)] == list(theirs)
    for key, parameter in ours.items():
        if key in theirs:
            assert parameter.kind == theirs[key].kind, key
            assert repr(parameter.default) == repr(theirs[key].default), key
        else:
            assert parameter.kind is inspect.Parameter.KEYWORD_ONLY, key
            assert parameter.default is not inspect.Parameter.empty, key


def test_names_of_parameters_are_those_of_each_class() -> None:
    """They are read once of a class, and not taken from the one it is made of."""

    class More(skopt_dl.Lasso):
        def __init__(self, alpha: float = 1.0, more: int = 0) -> None:
            super().__init__(alpha=alpha)
            self.more = more

    before = skopt_dl.Lasso().get_params()
    for _ in range(2):
        assert sorted(More(more=2).get_params()) == ["alpha", "more"]
        assert skopt_dl.Lasso().get_params() == before
    More._get_param_names().clear()
    assert More._get_param_names() == ["alpha", "more"]


@pytest.mark.parametrize("name", NAMES)
def test_methods_and_their_arguments(name: str) -> None:
    ours, theirs = getattr(skopt_dl, name), THEIRS[name]
    assert public(theirs) <= public(ours)
    for method in public(theirs):
        try:
            expected = inspect.signature(getattr(theirs, method)).parameters
        except TypeError:
            continue  # a property
        found = inspect.signature(getattr(ours, method)).parameters
        anything = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in found.values())
        for key, parameter in expected.items():
            named = parameter.kind is not inspect.Parameter.VAR_KEYWORD
            if named and key not in found and key not in DEPRECATED:
                assert anything, f"{method}() does not take {key}"


def requested(model: Any, method: str) -> set[str]:
    """The metadata that a method can be set to ask for."""
    with config_context(enable_metadata_routing=True):
        setter = getattr(model, f"set_{method}_request", None)
    return set() if setter is None else set(inspect.signature(setter).parameters) - {"self"}


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("name", NAMES)
def test_metadata_that_can_be_asked_for(name: str, method: str) -> None:
    if hasattr(THEIRS[name], method):
        ours = requested(getattr(skopt_dl, name)(), method)
        assert ours - VALIDATION == requested(THEIRS[name](), method)


def targets(name: str) -> dict[str, Any]:
    """Targets of every form that the class takes."""
    tags = get_tags(THEIRS[name]())
    if is_classifier(THEIRS[name]()):
        y = load_iris().target[::2]
        forms = {"binary": (y > 0).astype(int), "classes": y, "strings": np.array(list("abc"))[y]}
        if tags.classifier_tags.multi_label:
            forms["multilabel"] = np.stack([y > 0, y > 1], axis=1).astype(int)
        return forms
    y = load_diabetes().target[:60] / 100
    forms = {"column": y[:, None]}
    if tags.target_tags.single_output:
        forms["vector"] = y
    if tags.target_tags.multi_output:
        forms["two"] = np.stack([y, np.roll(y, 1)], axis=1)
    return forms


@cache
def design(name: str, layout: str) -> Any:
    if is_classifier(THEIRS[name]()):
        X = load_iris().data[::2]
    else:
        X = load_diabetes().data[:60, :4] * 10
    return {
        "dense": np.asarray,
        "csr": sparse.csr_matrix,
        "csc array": sparse.csc_array,
        "float32": np.float32,
    }[layout](X)


def look(value: Any) -> Any:
    """What a user can tell of an attribute without its numbers."""
    if sparse.issparse(value):
        return ("sparse", value.format, value.shape)
    if isinstance(value, np.ndarray):
        kind = "number" if value.dtype.kind in "iu" else value.dtype.kind
        return ("array", value.shape, kind)
    if isinstance(value, dict):
        return ("dict", {key: look(entry) for key, entry in value.items()})
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, [look(entry) for entry in value[:3]])
    for kind in (bool, int, float, str):
        if isinstance(value, (kind, {bool: np.bool_, int: np.integer}.get(kind, kind))):
            return kind.__name__
    return "None" if value is None else "float" if isinstance(value, np.floating) else "object"


def fitted(model: Any) -> dict[str, Any]:
    """The fitted attributes that there are, those computed by properties included."""
    names = {n for n in dir(model) if n.endswith("_") and not n.startswith("_")}
    found = {}
    for name in names:
        try:
            found[name] = getattr(model, name)
        except AttributeError:
            continue
    return found


# A fit of a network says all that is to say of attributes in a few epochs.
QUICK = {"MLPClassifier": {"max_iter": 5}, "MLPRegressor": {"max_iter": 5}}


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("layout", ["dense", "csr", "csc array", "float32"])
@pytest.mark.parametrize("name", NAMES)
def test_fitted_attributes(name: str, layout: str, fit_intercept: bool) -> None:
    params = dict(QUICK.get(name, {}))
    if "fit_intercept" in inspect.signature(THEIRS[name]).parameters:
        params["fit_intercept"] = fit_intercept
    elif not fit_intercept:
        return
    if name.endswith("CV") and "alphas" in inspect.signature(THEIRS[name]).parameters:
        params["alphas"] = [0.1, 1.0]
    if name == "LogisticRegressionCV":
        params |= {"Cs": 2, "cv": 2}
    X = design(name, layout)
    for form, y in targets(name).items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = fitted(THEIRS[name](**params).fit(X, y))
            ours = fitted(getattr(skopt_dl, name)(**params).fit(X, y))
        for attribute, value in theirs.items():
            assert attribute in ours, (form, attribute)
            if (name, attribute) not in OTHER_TYPES:
                assert look(ours[attribute]) == look(value), (form, attribute)
        if layout == "float32":
            kept = ours["coefs_"][0] if "coefs_" in ours else ours["coef_"]
            assert kept.dtype == np.float32, form


@pytest.mark.parametrize("name", NAMES)
def test_names_of_the_columns_of_a_frame(name: str) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(design(name, "dense"), columns=list("abcd"))
    y = list(targets(name).values())[-1]
    params = {**QUICK.get(name, {}), **({"Cs": 2} if name == "LogisticRegressionCV" else {})}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = getattr(skopt_dl, name)(**params).fit(frame, y)
    assert model.feature_names_in_.tolist() == list("abcd")
    assert model.n_features_in_ == 4
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[list("badc")])


def test_the_classes_are_found() -> None:
    assert {"Lasso", "MultiTaskElasticNetCV", "RidgeClassifierCV", "MLPClassifier"} <= set(NAMES)
    assert len(NAMES) >= 16
