"""Ctrl-C ends compiled kernels and fits at once, and leaves the estimator unfitted.

One child process runs the jobs one by one. It prints READY as a job starts; this process then sends
SIGINT and measures how long the KeyboardInterrupt takes to arrive. Every job would run for many
seconds if it were not stopped.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

CHILD = r"""
import signal, warnings
import numpy as np
import scipy.sparse as sp

from skopt_dl.linear_model import Lasso
from skopt_dl.losses import Logistic, Squared
from skopt_dl.penalties import L2
from skopt_dl.problems import LinearProblem

# Python leaves SIGINT alone where it was started with it ignored (a job behind "&").
signal.signal(signal.SIGINT, signal.default_int_handler)
warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
tall = np.cumsum(rng.standard_normal((400, 2000)), axis=1)
wide = rng.standard_normal((20, 20_000))
sparse = sp.random_array((400, 20_000), density=0.1, rng=rng, format="csr")


def kernel_cd(X):
    # A target below zero is never met: one call that would take hours.
    problem = LinearProblem(X, rng.standard_normal(X.shape[0]), Squared(), L2(1e-9))
    model = problem.coordinates(problem.start())
    order = np.arange(X.shape[1], dtype=np.intp)
    return lambda: problem.kernels.cd_epochs(model, order, 10**9, -1.0)


def kernel_samples(X, name):
    problem = LinearProblem(X, rng.integers(2, size=X.shape[0]) * 1.0, Logistic(), L2(0.1))
    model = problem.samples(problem.start())
    model.set_step(1e-6)
    order = rng.integers(X.shape[0], size=2_000_000)
    return lambda: getattr(problem.kernels, name)(model, order)


def fit(solver, X=tall):
    model = Lasso(alpha=1e-6, solver=solver, tol=0, max_iter=10**9)
    y = rng.standard_normal(X.shape[0])

    def job():
        try:
            model.fit(X, y)
        finally:
            fitted = [name for name in vars(model) if name.endswith("_") and name[0] != "_"]
            print("LEFT", *fitted, flush=True)

    return job


JOBS = {
    "cd dense": lambda: kernel_cd(tall),
    "cd sparse": lambda: kernel_cd(sparse.tocsc()),
    "saga dense": lambda: kernel_samples(wide, "saga_steps"),
    "saga sparse": lambda: kernel_samples(sparse, "saga_steps"),
    "sag dense": lambda: kernel_samples(wide, "sag_steps"),
    "sag sparse": lambda: kernel_samples(sparse, "sag_steps"),
    "fit cd": lambda: fit("cd"),
    "fit saga": lambda: fit("saga"),
    "fit saga sparse": lambda: fit("saga", sparse),
    "fit fista": lambda: fit("fista"),
}
for name, make in JOBS.items():
    job = make()
    try:
        print("READY", name, flush=True)
        job()
        print("RETURNED", name, flush=True)
    except KeyboardInterrupt:
        print("INTERRUPTED", name, flush=True)
print("END", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT to a child process")
def test_ctrl_c_ends_every_job_within_a_second():
    seconds, left = {}, {}
    with subprocess.Popen(
        [sys.executable, "-c", CHILD], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            for line in iter(child.stdout.readline, ""):
                word, *rest = line.split()
                if word == "READY":
                    time.sleep(0.2)  # well inside the loop
                    sent = time.perf_counter()
                    child.send_signal(signal.SIGINT)
                elif word == "LEFT":
                    left[len(seconds)] = rest
                elif word == "INTERRUPTED":
                    seconds[" ".join(rest)] = time.perf_counter() - sent
                elif word == "END":
                    break
                else:
                    pytest.fail(f"{line.strip()}: it was not interrupted")
        finally:
            child.kill()
        assert len(seconds) == 10, child.stderr.read()
    slow = {name: round(s, 2) for name, s in seconds.items() if s > 1.0}
    assert not slow
    assert len(left) == 4
    # n_features_in_ is about the data, not the model: validation sets it before the solve.
    assert all(set(names) <= {"n_features_in_"} for names in left.values()), left


DECOMPOSING = r"""
import signal, sys
import numpy as np
from skopt_dl.linear_model import Ridge, RidgeClassifierCV, RidgeCV

signal.signal(signal.SIGINT, signal.default_int_handler)
rng = np.random.default_rng(0)
X = rng.standard_normal((4000, 3000))
y = X[:, 0] + rng.standard_normal(4000)
model = eval(sys.argv[1])
print("READY", flush=True)
try:
    model.fit(X, y > 0 if "Classifier" in sys.argv[1] else y)
except KeyboardInterrupt:
    print("INTERRUPTED", *(n for n in vars(model) if n.endswith("_") and n[0] != "_"), flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT to a child process")
@pytest.mark.parametrize(
    "model",
    ["RidgeCV()", "RidgeCV(gcv_mode='svd')", "RidgeClassifierCV(cv=3)", "Ridge(solver='svd')"],
)
@pytest.mark.parametrize("delay", [0.3, 2.0, 4.0])
def test_ctrl_c_ends_a_decomposition_of_thousands_of_columns(model, delay):
    """Wherever it is: in the products, or in the one call of LAPACK that takes most of the time."""
    command = [sys.executable, "-c", DECOMPOSING, model]
    # Many threads might end the fit before it is interrupted.
    alone = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=alone) as child:
        try:
            assert child.stdout.readline() == "READY\n"
            time.sleep(delay)
            sent = time.perf_counter()
            child.send_signal(signal.SIGINT)
            said = child.stdout.readline()
            seconds = time.perf_counter() - sent
            child.wait(20)
            ended = time.perf_counter() - sent
        finally:
            child.kill()
    assert said in ("INTERRUPTED n_features_in_\n", "INTERRUPTED\n")
    assert seconds < 1.0
    assert ended < 3.0, "the process waits for what was interrupted"
