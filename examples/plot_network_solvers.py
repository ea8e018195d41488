"""
Ten solvers of one network
==========================

The same network, the same start and the same batches: only ``solver=`` changes. The rates are those
that a small grid found for each rule; methods without a rate have none.
"""

import warnings

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from skopt_dl import MLPClassifier
from skopt_dl.solvers import (
    SOAP,
    AdaGrad,
    Adam,
    Lion,
    Momentum,
    Muon,
    Nesterov,
    Prodigy,
    RMSprop,
    ScheduleFreeAdamW,
)

X, y = load_digits(return_X_y=True)
X, y = X[:600] / 16, y[:600]

SOLVERS = [
    Momentum(learning_rate=0.1),
    Nesterov(learning_rate=0.1),
    AdaGrad(learning_rate=0.03),
    RMSprop(learning_rate=0.003),
    Adam(learning_rate=0.01),
    ScheduleFreeAdamW(learning_rate=0.03),
    Lion(learning_rate=0.001),
    Prodigy(),
    Muon(learning_rate=0.03),
    SOAP(learning_rate=0.01),
]

# %%
# Every fit runs all its epochs: the plateau rule is switched off by a patience without end.
fig, ax = plt.subplots(figsize=(7, 4.5))
for solver in SOLVERS:
    model = MLPClassifier(
        (50,), solver=solver, max_iter=30, n_iter_no_change=float("inf"), random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    ax.semilogy(range(1, 31), model.loss_curve_, label=model.solver_)

ax.set(xlabel="epoch", ylabel="training loss")
ax.legend(ncols=2, fontsize="small")
plt.show()
