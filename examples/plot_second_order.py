"""
Second order on a narrow network
================================

An autoencoder of the digits squeezes 64 pixels through 8 numbers. Its layers bend the loss very
differently, and a rate that suits one is wrong for the next: K-FAC, which knows how each layer
bends, needs a fraction of the passes, and no rate.
"""

# %%
# The same network, the same start; Adam with a rate that was searched for.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skopt_dl import MLPRegressor
from skopt_dl.inspection import Landscape, SpectrumDisplay
from skopt_dl.solvers import KFAC, Adam

X = load_digits().data[:600] / 16.0
shape = {
    "hidden_layer_sizes": (32, 16, 8, 16, 32),
    "activation": ["tanh", "tanh", "identity", "tanh", "tanh"],
    "alpha": 0.0,
    "random_state": 0,
    "n_iter_no_change": 1000,
}
solvers = {"K-FAC": KFAC(), "Adam, rate 0.005": Adam(learning_rate=0.005)}
models = {
    name: MLPRegressor(solver=solver, max_iter=30, **shape).fit(X, X)
    for name, solver in solvers.items()
}

# %%
# Loss against passes over the data.
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
for name, model in models.items():
    left.semilogy(model.loss_curve_, label=name)
left.set(xlabel="pass over the data", ylabel="loss", title="Autoencoder of digits")
left.legend()

# %%
# How the objective bends at what K-FAC has found: a few steep directions, and very many flat ones.
landscape = Landscape.of(models["K-FAC"], X, X, curvature="gauss_newton")
SpectrumDisplay.from_landscape(landscape, probes=2, steps=30, ax=right)
right.set_title("Eigenvalues of the Gauss-Newton matrix")
plt.tight_layout()
plt.show()

best = {name: np.min(model.loss_curve_) for name, model in models.items()}
assert best["K-FAC"] < best["Adam, rate 0.005"]
