"""
A raw table, five lines to a fitted network
===========================================

Passengers of a ship, as such tables are: numbers with gaps, text, a category with a rare level.
"""

# %%
# The table; one fifth of the ages is missing.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from skopt_dl import TabularMLPClassifier

rng = np.random.default_rng(0)
n = 900
sex, pclass = rng.choice(["male", "female"], n, p=[0.65, 0.35]), rng.integers(1, 4, n)
age, fare = rng.gamma(4, 8, n), rng.lognormal(4.5 - pclass / 2, 0.5, n)
luck = 3 * (sex == "female") - pclass - 0.03 * age + 2 * (age < 10) + 1.5 + rng.logistic(size=n)
passengers = pd.DataFrame(
    {
        "class": pclass,
        "sex": sex,
        "age": np.where(rng.random(n) < 0.2, np.nan, age),
        "fare": fare,
        "port": pd.Categorical(rng.choice(["Southampton", "Cherbourg", "Cobh"], n)),
    }
)
survived = np.where(luck > 0, "yes", "no")
print(passengers.head())

# %%
# From the table to a fitted network.
X, X_test, y, y_test = train_test_split(passengers, survived, random_state=0)
model = TabularMLPClassifier(random_state=0).fit(X, y)
print(f"accuracy {model.score(X_test, y_test):.3f}, temperature {model.temperature_:.2f}")

# %%
# Its probabilities mean what they say: among passengers with a probability of about p, a share of
# about p survived.
p = model.predict_proba(X_test)[:, 1]
bins = np.array_split(np.argsort(p), 6)
mean = [p[index].mean() for index in bins]
share = [(y_test[index] == "yes").mean() for index in bins]

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
for curve in model.validation_losses_:
    left.plot(curve, color="tab:blue", alpha=0.5)
    left.plot(np.argmin(curve), min(curve), "o", color="tab:blue")
left.set(
    xlabel="epoch", ylabel="log-loss on held-out rows", title="Each member keeps its best epoch"
)
right.plot([0, 1], [0, 1], color="grey", linestyle=":")
right.plot(mean, share, "o-")
right.set(xlabel="mean probability", ylabel="share that survived", title="Calibration on new rows")
plt.show()

# %%
# Values that it has never seen are no error.
print(model.predict(pd.DataFrame([[2, None, 30.0, None, "Belfast"]], columns=X.columns)))
