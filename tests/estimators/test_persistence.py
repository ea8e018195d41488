"""Fitted models as files, copies and pages: pickle, joblib, clone, names, containers, HTML."""

from __future__ import annotations

import copy
import dataclasses
import io
import pickle
import time
import warnings
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from zoo import APART, BY_NAME, KINDS, LINEAR, Kind, pairs, solvers_of

from skopt_dl import SolveReport
from skopt_dl.dispatch import SOLVERS


def fit(model: Any, X: Any, y: Any, **kwargs: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, **kwargs) if y is None else model.fit(X, y, **kwargs)


def use(model: Any, X: Any) -> Any:
    return model.predict(X) if hasattr(model, "predict") else model.transform(X)


def through_joblib(model: Any) -> Any:
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    buffer.seek(0)
    return joblib.load(buffer)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize(
    "trip",
    [lambda m: pickle.loads(pickle.dumps(m)), through_joblib, copy.deepcopy, copy.copy],
    ids=["pickle", "joblib", "deepcopy", "copy"],
)
def test_round_trips_predict_the_same(kind: Kind, trip: Any) -> None:
    X, y = kind.make_data(0)
    model = fit(kind.make(), X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        back = trip(model)
    np.testing.assert_array_equal(use(back, X), use(model, X))
    assert back.get_params().keys() == model.get_params().keys()
    assert vars(back).keys() == vars(model).keys()


@pytest.mark.parametrize("kind", [*KINDS, *APART], ids=str)
def test_skops_asks_for_trust_in_our_types_alone(kind: Kind) -> None:
    skops = pytest.importorskip("skops.io")
    X, y = kind.make_data(0)
    model = fit(kind.make(), X, several(kind, y))
    file = skops.dumps(model)
    types = skops.get_untrusted_types(data=file)
    itself = f"{type(model).__module__}.{kind.name}"
    assert itself in types and all(name.startswith("skopt_dl.") for name in types)
    # Of linear models nothing but the class itself: they are numbers, strings and arrays.
    assert types == [itself] or not hasattr(model, "coef_")
    back = skops.loads(file, trusted=types)
    np.testing.assert_array_equal(use(back, X), use(model, X))
    # By their texts: where nothing was measured a report has NaN.
    for report, known in zip(reports(back), reports(model), strict=True):
        assert type(report) is SolveReport and str(vars(report)) == str(vars(known))


def reports(model: Any) -> list[SolveReport]:
    found = model.solve_report_
    return found if isinstance(found, list) else [found]


def several(kind: Kind, y: Any) -> Any:
    """Targets of the shape that the estimator takes."""
    return np.stack([y, -y], axis=1) if kind.name.startswith("MultiTask") else y


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_another_version_warns(kind: Kind) -> None:
    X, y = kind.make_data(0)
    state = fit(kind.make(), X, y).__getstate__()
    assert state["_skopt_dl_version"]
    state["_skopt_dl_version"] = "0.0.0.before"
    back = type(kind.make()).__new__(type(kind.make()))
    with pytest.warns(UserWarning, match=r"pickled by skopt_dl 0\.0\.0\.before"):
        back.__setstate__(state)
    assert not hasattr(back, "_skopt_dl_version")


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_public_fitted_state_is_plain(kind: Kind) -> None:
    """Arrays, numbers, strings, lists and the report: what skops and other formats can hold."""
    X, y = kind.make_data(0)
    model = fit(kind.make(), X, y)
    assert isinstance(model.solver_, str)
    assert model.solver_ in SOLVERS.names()
    for report in reports(model):
        assert type(report) is SolveReport
        for field in dataclasses.fields(report):
            value = getattr(report, field.name)
            assert isinstance(value, (str, int, float, dict, type(None))), field.name
    plain = (str, int, float, bool, list, tuple, dict, np.ndarray, np.generic, SolveReport)
    for name, value in vars(model).items():
        if name.endswith("_") and not name.startswith("_"):
            assert isinstance(value, plain) or value is None, name


@pytest.mark.parametrize(("kind", "solver"), pairs(), ids=str)
def test_clones_keep_solver_instances_apart(kind: Kind, solver: str) -> None:
    instance = SOLVERS.get(solver)()
    model = kind.make(solver=instance)
    other = clone(model)
    assert other.solver == instance
    assert other.solver is not instance
    for name in instance.get_params():
        assert model.get_params()[f"solver__{name}"] == instance.get_params()[name]
    before = repr(instance)
    X, y = kind.make_data(0)
    fit(model.set_params(max_iter=2), X, y)
    assert repr(instance) == before, "a fit changed the user's solver"


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_unfitted_estimators_say_so(kind: Kind) -> None:
    X, _ = kind.make_data(0)
    with pytest.raises(NotFittedError):
        use(kind.make(), X)


# --- names and containers -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_feature_names_are_kept_and_enforced(kind: Kind, library: str) -> None:
    frames = pytest.importorskip(library)
    X, y = kind.make_data(0)
    names = [f"x{j}" for j in range(X.shape[1])]

    def frame(X: Any, names: list[str]) -> Any:
        return frames.DataFrame({n: X[:, j] for j, n in enumerate(names)})

    model = fit(kind.make(), frame(X, names), y)
    assert list(model.feature_names_in_) == names
    plain = fit(kind.make(), X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = use(model, frame(X, names))
    np.testing.assert_allclose(np.asarray(got), np.asarray(use(plain, X)), rtol=1e-10)
    with pytest.raises(ValueError, match="feature names should match"):
        use(model, frame(X[:, ::-1], names[::-1]))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        use(model, X)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_transformers_set_output(library: str) -> None:
    frames = pytest.importorskip(library)
    kind = BY_NAME["MatrixCompletion"]
    X, _ = kind.make_data(0)
    model = kind.make().set_output(transform=library)
    table = fit(model, X, None).transform(X)
    assert isinstance(table, frames.DataFrame)
    assert list(table.columns) == list(model.get_feature_names_out())
    np.testing.assert_allclose(table.to_numpy(), fit(kind.make(), X, None).transform(X))


# --- metadata routing ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [k for k in KINDS if k.name != "MatrixCompletion"], ids=str)
def test_weights_travel_through_a_pipeline_with_routing(kind: Kind) -> None:
    X, y = kind.make_data(0)
    weights = np.linspace(0.2, 3.0, len(y))
    with sklearn.config_context(enable_metadata_routing=True):
        routed = make_pipeline(
            StandardScaler().set_fit_request(sample_weight=False),
            kind.make().set_fit_request(sample_weight=True),
        )
        fit(routed, X, y, sample_weight=weights)
    scaled = StandardScaler().fit_transform(X)
    direct = fit(kind.make(), scaled, y, sample_weight=weights)
    unweighted = fit(kind.make(), scaled, y)
    for a, b, c in zip(
        kind.answer(routed[-1]), kind.answer(direct), kind.answer(unweighted), strict=True
    ):
        np.testing.assert_array_equal(a, b)
        assert not np.allclose(a, c)


# --- tags and pages -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", LINEAR, ids=str)
def test_tags_of_linear_models(kind: Kind) -> None:
    tags = get_tags(kind.make())
    assert tags.input_tags.sparse
    assert not tags.input_tags.allow_nan
    assert tags.target_tags.required
    assert not tags.array_api_support
    assert tags.target_tags.multi_output == (not kind.is_classifier)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_page_links_to_the_documentation_quickly(kind: Kind) -> None:
    X, y = kind.make_data(0)
    model = fit(kind.make(solver=solvers_of(kind.name)[0]), X, y)
    model._repr_html_()  # The first one loads style sheets.
    best = min(_seconds(model._repr_html_) for _ in range(3))
    page = model._repr_html_()
    assert f".{kind.name}.html" in page
    assert best < 0.05


def _seconds(function: Any) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_repr_is_short_and_reads_back(kind: Kind) -> None:
    text = repr(kind.make())
    assert text.startswith(f"{kind.name}(")
    import skopt_dl

    again = eval(text, vars(skopt_dl) | {kind.name: type(kind.make())})
    assert again.get_params() == kind.make().get_params()
