"""On workers of a cluster on this machine; one of them is killed on the way."""

from __future__ import annotations

import contextlib
import faulthandler
import itertools
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import skopt_dl

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")
da = pytest.importorskip("dask.array")
import skopt_dl.dask as ours  # noqa: E402
from skopt_dl.dask._collections import Cluster  # noqa: E402


@pytest.fixture(autouse=True)
def ends() -> Iterator[None]:
    """Processes that wait for each other must not keep the whole suite: the run then dies."""
    faulthandler.dump_traceback_later(180, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@contextlib.contextmanager
def workers() -> Iterator[Any]:
    """A client of two workers, processes of one thread."""
    with (
        # What a killed worker has is asked for until then.
        dask.config.set({"distributed.comm.timeouts.connect": "2s"}),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            host="127.0.0.1",
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with workers() as client:
        yield client


@pytest.fixture
def mortal() -> Iterator[Any]:
    """Workers of one test: no promise that who is killed comes back in time for the next."""
    with workers() as client:
        yield client


def problem() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((600, 5))
    return X, X[:, 0] - X[:, 1] + 0.1 * rng.standard_normal(600)


def fatal_once(marker: str) -> Callable[[Any], Any]:
    """The identity; whoever is the first of all that ask for a block is killed on the way."""

    # Inside a function it travels by value: workers cannot import this module, and one that cannot
    # read its tasks leaves the cluster, whose client then waits for ever.
    def block_of(block: Any) -> Any:
        try:
            os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return block
        os.kill(os.getpid(), signal.SIGKILL)
        return block

    return block_of


@pytest.fixture
def killing(mortal: Any, monkeypatch: Any) -> Iterator[Callable[[int], None]]:
    """Kill a worker, with all that it keeps, before the computation that is asked for as n-th."""
    calls, computed = itertools.count(), Cluster.compute
    before, pids = [-1], list(mortal.run(os.getpid).values())

    def compute(self: Any, *values: Any) -> Any:
        if next(calls) == before[0]:
            os.kill(pids.pop(), signal.SIGKILL)
        return computed(self, *values)

    monkeypatch.setattr(Cluster, "compute", compute)
    yield lambda n: before.__setitem__(0, next(calls) + 1 + n)
    assert len(pids) == 1, "no worker was killed"


@pytest.mark.slow
def test_a_worker_that_is_killed_at_work_changes_nothing(mortal: Any, tmp_path: Any) -> None:
    X, y = problem()
    blocks = da.from_array(X, chunks=(60, 5))
    known = ours.Ridge(client=mortal).fit(blocks, y)
    np.testing.assert_allclose(known.coef_, skopt_dl.Ridge().fit(X, y).coef_, rtol=1e-10)

    marker = tmp_path / "killed"
    deadly = blocks.map_blocks(fatal_once(str(marker)), dtype=float, meta=X[:0])
    assert not marker.exists()
    model = ours.Ridge(client=mortal).fit(deadly, y)
    assert marker.exists()
    np.testing.assert_allclose(model.coef_, known.coef_, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("persist", [True, False])
def test_a_killed_worker_changes_no_weight_of_a_network(
    mortal: Any, killing: Any, persist: bool
) -> None:
    X, y = problem()
    blocks = da.from_array(X, chunks=(150, 5))
    model = ours.MLPRegressor(
        hidden_layer_sizes=(4,),
        max_iter=3,
        n_iter_no_change=1,
        tol=1e9,
        random_state=0,
        persist=persist,
        client=mortal,
    )
    known = model.fit(blocks, y)
    killing(1)
    again = clone(model).fit(blocks, y)
    np.testing.assert_allclose(again.coefs_[0], known.coefs_[0], rtol=1e-12)


@pytest.mark.slow
def test_a_killed_worker_changes_no_part_that_had_stayed_with_it(mortal: Any, killing: Any) -> None:
    X, y = problem()
    blocks, labels = da.from_array(X, chunks=(150, 5)), da.from_array(y > 0, chunks=150)
    model = ours.LogisticRegression(
        C=0.01, l1_ratio=0.5, tol=1e-8, solver="consensus_admm", client=mortal
    )
    known = model.fit(blocks, labels)
    killing(6)
    again = clone(model).fit(blocks, labels)
    assert again.n_iter_ == known.n_iter_ > 6
    # Sums round by where a block lies in memory, and each local solve goes on from the last.
    np.testing.assert_allclose(again.coef_, known.coef_, rtol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.05, "auto"])
@pytest.mark.parametrize("form", ["matrix", "pairs"])
def test_a_killed_worker_changes_no_factor(
    mortal: Any, killing: Any, alpha: Any, form: str
) -> None:
    """Row factors and blocks that a worker kept are computed again by the other one."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((90, 3)) @ rng.standard_normal((3, 20))
    X += 0.1 * rng.standard_normal(X.shape)
    rows, cols = np.nonzero(rng.random(X.shape) < 0.6)
    if form == "pairs":
        pairs = np.stack([rows, cols], axis=1)
        data: tuple[Any, ...] = (
            da.from_array(pairs, chunks=(300, 2)),
            da.from_array(X[rows, cols], chunks=300),
        )
    else:
        seen = np.full(X.shape, np.nan)
        seen[rows, cols] = X[rows, cols]
        data = (da.from_array(seen, chunks=(30, 20)),)
    model = ours.MatrixCompletion(3, alpha=alpha, random_state=0, tol=1e-6, client=mortal)
    known = model.fit(*data)
    # In the middle of the turns.
    killing(known.n_passes_ // 2)
    again = clone(model).fit(*data)
    assert again.n_iter_ == known.n_iter_ > 2 and again.n_passes_ == known.n_passes_
    np.testing.assert_allclose(again.components_, known.components_, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(again.noise_variance_, known.noise_variance_, rtol=1e-8)


def test_passes_over_blocks_that_workers_keep(client: Any) -> None:
    X, y = problem()
    labels = y > 0
    model = ours.LogisticRegression(client=client, tol=1e-11)
    model.fit(da.from_array(X, chunks=(150, 5)), da.from_array(labels, chunks=150))
    known = skopt_dl.LogisticRegression(solver="newton_cholesky", tol=1e-11).fit(X, labels)
    np.testing.assert_allclose(model.coef_, known.coef_, rtol=1e-8)
    lazy = model.predict(da.from_array(X, chunks=(150, 5)))
    np.testing.assert_array_equal(lazy.compute(), known.predict(X))


def test_parts_stay_with_their_workers_until_they_agree(client: Any) -> None:
    X, y = problem()
    blocks, labels = da.from_array(X, chunks=(150, 5)), da.from_array(y > 0, chunks=150)
    settings = {"C": 0.01, "l1_ratio": 0.5, "tol": 1e-8, "client": client}
    agreed = ours.LogisticRegression(solver="consensus_admm", **settings).fit(blocks, labels)
    known = ours.LogisticRegression(**settings).fit(blocks, labels)
    assert known.solver_ == "prox_newton"
    np.testing.assert_allclose(agreed.coef_, known.coef_, atol=1e-6)


def test_a_clone_talks_to_the_same_client(client: Any) -> None:
    assert clone(ours.Lasso(client=client)).client is client


def test_a_search_on_the_workers_is_that_in_processes(client: Any) -> None:
    search = GridSearchCV(skopt_dl.Lasso(), {"alpha": [0.001, 0.01, 0.1]}, cv=3, n_jobs=2)
    by_loky = search.fit(*problem()).cv_results_["mean_test_score"]
    for backend in ("dask", "threading"):
        with joblib.parallel_config(backend=backend):
            there = search.fit(*problem()).cv_results_["mean_test_score"]
        np.testing.assert_allclose(there, by_loky, rtol=1e-12)
