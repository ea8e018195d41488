"""
Agents on a graph
=================

Sixteen agents have samples of their own, sorted so that no two agents see the same, and speak with
their neighbours alone. What does it cost them to find what one computer with all samples finds? The
network is simulated; the bytes and rounds are those that a real one would send.
"""

# %%
# A logistic regression whose samples are dealt out in order. Decentralised gradient descent ends
# beside the optimum, as far as its rate is long; methods that correct it go on.
import matplotlib.pyplot as plt
import numpy as np

from skopt_dl.engine import Stopping, run
from skopt_dl.linops.mixing import Mixing
from skopt_dl.losses import Logistic
from skopt_dl.penalties import L2
from skopt_dl.problems import LinearProblem
from skopt_dl.solvers import (
    DGD,
    EXTRA,
    GradientTracking,
    MajorityVote,
    NewtonCholesky,
    NewtonConsensus,
)

rng = np.random.default_rng(0)
X = rng.normal(size=(640, 10))
signal = X @ rng.normal(size=10) + rng.normal(size=640)
order = np.argsort(signal)
problem = LinearProblem(X[order], (signal[order] > 0) * 1.0, Logistic(), L2(0.05))
best = run(problem, NewtonCholesky(), stopping=Stopping(tol=1e-12)).certificate.objective


class Errors:
    """What is missing from the objective at the mean of the agents, at each report."""

    def __init__(self):
        self.values = []

    def on_report(self, report):
        self.values.append(float(problem.value(report.state.w)) - best)
        return False


def solve(solver, iterations):
    errors = Errors()
    stopping = Stopping(tol=None, max_iter=iterations)
    seed = np.random.default_rng(0)
    result = run(problem, solver, stopping=stopping, observers=[errors], rng=seed)
    return result.history, np.maximum(errors.values, 1e-14)


agents = {"n_agents": 16, "split": "blocks"}
methods = {
    "DGD": (DGD(graph="ring", **agents), 300),
    "EXTRA": (EXTRA(graph="ring", **agents), 300),
    "EXTRA, adapt first": (EXTRA(graph="ring", adapt_first=True, **agents), 300),
    "gradient tracking": (GradientTracking(graph="ring", **agents), 300),
    "Newton consensus": (NewtonConsensus(graph="ring", **agents), 300),
    "majority vote": (MajorityVote(graph="ring", **agents), 300),
}
solved = {name: solve(solver, iterations) for name, (solver, iterations) in methods.items()}

# %%
# The same methods measured by what they send, and how far their agents are apart: the error itself
# and the bound that neighbours can compute of it (dotted).
figure, axes = plt.subplots(1, 3, figsize=(14, 4.2))
for name, (history, errors) in solved.items():
    sent = np.asarray(history["bytes_sent"]) / 1e6
    (line,) = axes[0].loglog(sent, errors, label=name)
    if name != "majority vote":
        apart = np.asarray(history["consensus_error"])
        axes[1].semilogy(history["rounds"], apart, color=line.get_color())
        bound = history["consensus_bound"]
        axes[1].semilogy(history["rounds"], bound, ":", color=line.get_color())
axes[0].set(xlabel="megabytes sent by all", ylabel="objective - optimum", title="A ring of 16")
axes[0].legend()
axes[1].set(xlabel="rounds", ylabel="distance of the agents", title="Disagreement", xlim=(0, 300))

# %%
# More edges average faster, and each round sends more. The step of this method depends on no graph.
ends = {}
for graph in ("ring", "torus", "random", "complete"):
    solver = EXTRA(graph=graph, adapt_first=True, **agents)
    history, errors = solve(solver, 200)
    gap = Mixing(graph, 16).gap
    axes[2].semilogy(history["rounds"], errors, label=f"{graph}, gap {gap:.2f}")
    ends[graph] = history["bytes_sent"][-1], errors[10]
axes[2].set(xlabel="rounds", title="EXTRA, adapt first, on four graphs", xlim=(0, 200))
axes[2].legend()
figure.tight_layout()
plt.show()

final = {name: errors[-1] for name, (_, errors) in solved.items()}
assert final["DGD"] > 1e-4 > 1e-7 > final["EXTRA"]
assert final["Newton consensus"] < 1e-12
assert ends["ring"][0] < ends["torus"][0] < ends["random"][0] < ends["complete"][0]
assert ends["ring"][1] > ends["complete"][1]
