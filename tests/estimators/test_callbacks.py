"""scikit-learn's callbacks: on every solver, balanced, able to stop, in searches and pipelines."""

from __future__ import annotations

import pickle
import warnings
from collections import Counter
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from zoo import KINDS, Kind, pairs, regression

from skopt_dl import Lasso


class Recorder:
    """Counts every hook, checks the data it gets, and may stop or fail at a task."""

    def __init__(self, stop_after: int | None = None, fail_after: int | None = None) -> None:
        self.stop_after, self.fail_after = stop_after, fail_after
        self.calls: Counter[str] = Counter()
        self.open: list[Any] = []
        self.models: list[Any] = []

    def setup(self, estimator: Any, context: Any) -> None:
        self.calls["setup"] += 1

    def teardown(self, estimator: Any, context: Any) -> None:
        self.calls["teardown"] += 1

    def on_fit_task_begin(self, estimator: Any, context: Any, *, X: Any, y: Any) -> None:
        self.calls["begin"] += 1
        self.open.append(context)
        assert X is not None

    def on_fit_task_end(
        self, estimator: Any, context: Any, *, X: Any, y: Any, fitted_estimator: Any
    ) -> bool:
        self.calls["end"] += 1
        assert self.open.pop() is context
        self.models.append((context.task_name, fitted_estimator))
        if self.fail_after is not None and self.calls["end"] >= self.fail_after:
            raise ZeroDivisionError("the callback failed")
        return self.stop_after is not None and self.calls["end"] >= self.stop_after


def fit(estimator: Any, X: Any, y: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(X) if y is None else estimator.fit(X, y)


def use(kind: Kind, model: Any, X: Any) -> Any:
    if hasattr(model, "predict"):
        return model.predict(X)
    return model.transform(X)


@pytest.mark.parametrize(("kind", "solver"), pairs(), ids=str)
def test_every_solver_reports_balanced_tasks_with_usable_models(kind: Kind, solver: str) -> None:
    X, y = kind.make_data(0)
    recorder = Recorder()
    watched = kind.make(solver=solver, max_iter=25).set_callbacks(recorder)
    fit(watched, X, y)
    assert recorder.calls["setup"] == recorder.calls["teardown"] == 1
    assert recorder.calls["begin"] == recorder.calls["end"] >= 2
    assert not recorder.open
    assert recorder.models[-1][0] == "fit"
    for _, model in recorder.models:
        assert model is not watched
        assert np.all(np.isfinite(np.asarray(use(kind, model, X), dtype=float)))
    np.testing.assert_allclose(
        use(kind, recorder.models[-1][1], X), use(kind, watched, X), rtol=1e-12
    )


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_watching_changes_nothing(kind: Kind) -> None:
    X, y = kind.make_data(0)
    plain = fit(kind.make(), X, y)
    watched = fit(kind.make().set_callbacks(Recorder()), X, y)
    for a, b in zip(kind.answer(plain), kind.answer(watched), strict=True):
        np.testing.assert_array_equal(a, b)
    assert set(vars(watched)) - set(vars(plain)) == {"_skl_callbacks"}


@pytest.mark.parametrize(("kind", "solver"), pairs(), ids=str)
def test_a_callback_stops_every_solver_without_a_warning(kind: Kind, solver: str) -> None:
    X, y = kind.make_data(0)
    tight = {} if kind.name.startswith("MLP") else {"tol": 0.0}
    model = kind.make(solver=solver, max_iter=10_000, **tight)
    model.set_callbacks(Recorder(stop_after=1))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            fitted = model.fit(X) if y is None else model.fit(X, y)
        except ConvergenceWarning:
            # A method that ends by itself within its first report cannot be stopped earlier.
            model.set_callbacks()
            assert len(fit(model, X, y).solve_report_.history["n_iter"]) == 1
            return
    reports = fitted.solve_report_
    for report in reports if isinstance(reports, list) else [reports]:
        assert report.status in ("stopped", "converged")


def test_stopping_ends_the_solve_early() -> None:
    X, y = regression(0)
    full = Lasso(alpha=1e-4, tol=1e-12, solver="fista").fit(X, y)
    recorder = Recorder(stop_after=1)
    early = Lasso(alpha=1e-4, tol=1e-12, solver="fista").set_callbacks(recorder).fit(X, y)
    assert early.solve_report_.status == "stopped"
    assert early.n_iter_ == 10 < full.n_iter_


def test_outputs_that_are_solved_apart_are_tasks_of_their_own() -> None:
    X, y = regression(0)
    Y = np.stack([y, -y, y + X[:, 0]], axis=1)
    recorder = Recorder()
    model = Lasso(alpha=0.01, solver="fista").set_callbacks(recorder).fit(X, Y)
    names = [name for name, _ in recorder.models]
    assert [n for n in names if n.startswith("output")] == ["output 0", "output 1", "output 2"]
    outputs = [m for n, m in recorder.models if n.startswith("output")]
    for k, single in enumerate(outputs):
        np.testing.assert_allclose(single.predict(X), model.predict(X)[:, k])


def test_tasks_never_exceed_what_was_announced() -> None:
    seen = {}

    class Announced(Recorder):
        def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
            if context.parent is not None:
                seen["max"] = context.parent.max_subtasks
                seen["n"] = len(context.parent._children_map)

    X, y = regression(0)
    model = Lasso(alpha=1e-3, tol=0.0, max_iter=35, solver="fista").set_callbacks(Announced())
    fit(model, X, y)
    assert seen == {"max": 4, "n": 4}


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_failing_callback_is_torn_down_and_leaves_the_estimator_as_it_was(kind: Kind) -> None:
    X, y = kind.make_data(0)
    recorder = Recorder(fail_after=1)
    model = kind.make().set_callbacks(recorder)
    before = dict(vars(model))
    with pytest.raises(ZeroDivisionError):
        fit(model, X, y)
    assert recorder.calls["setup"] == recorder.calls["teardown"] == 1
    assert vars(model) == before


def test_an_interrupt_inside_a_callback_is_torn_down() -> None:
    class Interrupting(Recorder):
        def on_fit_task_end(self, estimator, context):
            raise KeyboardInterrupt

    X, y = regression(0)
    callback = Interrupting()
    model = Lasso().set_callbacks(callback)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert callback.calls["teardown"] == 1
    assert not hasattr(model, "coef_")
    assert not hasattr(model, "_callback_fit_ctx")


def test_invalid_data_set_nothing_up() -> None:
    recorder = Recorder()
    with pytest.raises(ValueError, match="NaN"):
        Lasso().set_callbacks(recorder).fit([[np.nan], [1.0]], [0.0, 1.0])
    assert recorder.calls == {}


@pytest.mark.parametrize("kind", [k for k in KINDS if k.name != "MatrixCompletion"], ids=str)
def test_scores_are_monitored(kind: Kind) -> None:
    X, y = kind.make_data(0)
    metric = "accuracy" if kind.is_classifier else "r2"
    monitor = ScoringMonitor(scoring=metric)
    model = fit(kind.make().set_callbacks(monitor), X, y)
    rows = monitor.get_logs().data
    assert len(rows) >= 2
    scores = {row["task_id_path"]: row[metric] for row in rows}
    assert scores[(0,)] == pytest.approx(model.score(X, y))


def test_scores_take_the_sample_weights() -> None:
    X, y = regression(0)
    weights = np.linspace(0.1, 2.0, len(y))
    monitor = ScoringMonitor(scoring="r2")
    model = Lasso(alpha=0.1).set_callbacks(monitor).fit(X, y, sample_weight=weights)
    assert monitor.get_logs().data[0]["r2"] == pytest.approx(model.score(X, y, weights))


def test_data_frames_keep_their_names_in_callbacks(recwarn: Any) -> None:
    pd = pytest.importorskip("pandas")
    X, y = regression(0)
    frame = pd.DataFrame(X, columns=list("abcdef"))
    monitor = ScoringMonitor(scoring="r2")
    Lasso(alpha=0.01).set_callbacks(monitor).fit(frame, pd.Series(y))
    assert not [w for w in recwarn if "feature names" in str(w.message)]
    assert monitor.get_logs().data


def test_progress_bar_through_a_search_over_pipelines(capsys: Any) -> None:
    pytest.importorskip("rich")
    X, y = regression(0)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), Lasso()), {"lasso__alpha": [0.1, 0.01]}, cv=2
    )
    search.set_callbacks(ProgressBar(max_propagation_depth=None))
    search.fit(X, y)
    shown = capsys.readouterr().out
    assert "Lasso - fit" in shown
    assert "Pipeline" in shown


def test_a_pipeline_without_callbacks_costs_no_contexts(monkeypatch: Any) -> None:
    made = []
    original = Lasso._init_callback_context
    monkeypatch.setattr(
        Lasso, "_init_callback_context", lambda self, **kw: made.append(1) or original(self, **kw)
    )
    X, y = regression(0)
    make_pipeline(StandardScaler(), Lasso()).fit(X, y)
    Lasso().fit(X, y)
    assert made == []


def test_callbacks_survive_clone_and_pickle() -> None:
    X, y = regression(0)
    monitor = ScoringMonitor(scoring="r2")
    model = Lasso(alpha=0.01).set_callbacks(monitor).fit(X, y)
    assert clone(model)._skl_callbacks == [monitor]
    back = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(back.coef_, model.coef_)
    assert len(back._skl_callbacks) == 1
    back.fit(X, y)
