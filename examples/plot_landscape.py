"""
Between two optima
==================

A small classifier of digits is trained from two starts. On the straight line from one answer to the
other the loss is high; much of that is the order of the hidden units, and a curve with one bend
goes around the rest. Next to it, a network without activations: it learns one direction after the
other, so that early stopping gives a map of low rank.
"""

# %%
# Two answers, as points of one problem.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skopt_dl import MLPClassifier, MLPRegressor
from skopt_dl.engine import Stopping, run
from skopt_dl.inspection import (
    DeepLinearDisplay,
    DeepLinearTrace,
    Landscape,
    ModeCurve,
    ModeCurveDisplay,
    align_units,
    connect,
)
from skopt_dl.solvers import SGD

X, y = load_digits(return_X_y=True)
X, y = X[:400] / 16.0, y[:400]
found = [
    Landscape.of(
        MLPClassifier(
            (16,), activation="tanh", alpha=1.0, solver="lbfgs", max_iter=1000, random_state=seed
        ).fit(X, y),
        X,
        y,
    )
    for seed in (0, 1)
]
problem, a, b = found[0].problem, found[0].w, found[1].w

# %%
# The straight line as it is, with the units in one order, and the curve of least mean loss.
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
aligned = align_units(problem, b, a)
curve = connect(problem, a, aligned, nodes=6, max_iter=100)
ts = np.linspace(0, 1, 41)
left.plot(ts, ModeCurve(problem, [a, b]).values(ts), ":", label="units as they come")
ModeCurveDisplay.from_curve(curve, ts=ts, ax=left)
left.set_title("Loss between two fits")

# %%
# A deep linear network from a small start: the large singular values of its product come first.
rng = np.random.default_rng(0)
Z = np.linalg.qr(rng.standard_normal((60, 5)))[0] * 60**0.5
target = Z @ np.diag([4.0, 2.5, 1.5, 0.8, 0.3])
linear = MLPRegressor(
    hidden_layer_sizes=(5,), activation="identity", alpha=0.0, random_state=0
)._build_problem(Z, target)
trace = DeepLinearTrace(linear)
run(
    linear,
    SGD(learning_rate=0.005, batch_size=60),
    start=0.02 * linear.start(),
    stopping=Stopping(tol=None, max_iter=2500),
    observers=[trace],
)
DeepLinearDisplay.from_trace(trace, ax=right)
right.set_title("A deep linear network learns")
plt.tight_layout()
plt.show()

assert curve.barrier() < curve.straight().barrier() < ModeCurve(problem, [a, b]).barrier()
assert min(trace.effective_rank) < 1.5
