"""
Stop, pickle, go on
===================

With ``resume=True`` a network keeps all that its training needs: the solver's moments, the random
generator, the order of the samples, the rows held out. A training that was stopped and stored goes
on as if it never had been.
"""

import pickle
import warnings

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from skopt_dl import MLPClassifier

warnings.simplefilter("ignore", ConvergenceWarning)
X, y = load_digits(return_X_y=True)
X, y = X[:600] / 16, y[:600]
settings = {
    "hidden_layer_sizes": (50,),
    "learning_rate_init": 0.01,
    "early_stopping": True,
    "n_iter_no_change": 30,
    "dropout": 0.2,
    "random_state": 0,
}

# %%
# One training of 30 epochs, and the same in two parts with a file between them.
whole = MLPClassifier(max_iter=30, **settings).fit(X, y)

first = MLPClassifier(max_iter=12, warm_start=True, resume=True, **settings).fit(X, y)
stored = pickle.dumps(first)

second = pickle.loads(stored)
second.set_params(max_iter=18).fit(X, y)

assert second.loss_curve_ == whole.loss_curve_
assert second.validation_scores_ == whole.validation_scores_

# %%
# The curves of both parts lie on that of the whole.
fig, ax = plt.subplots(figsize=(7, 4))
ax.plot(range(1, 31), whole.loss_curve_, lw=6, alpha=0.3, label="never stopped")
ax.plot(range(1, 13), first.loss_curve_, label="until the stop")
ax.plot(range(12, 31), second.loss_curve_[11:], label="from the file")
ax.plot(range(1, 31), second.validation_loss_curve_, "k:", label="held-out rows")
ax.set(xlabel="epoch", ylabel="loss")
ax.legend()
plt.show()
