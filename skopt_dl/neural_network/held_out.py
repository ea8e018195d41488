"""What is learnt from rows that networks were not trained on: best epochs, how sure they may be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import exp, inf, log
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from skopt_dl.engine import Report, Status
from skopt_dl.kernels.namespace import namespace_of

# Standard deviation, before the rows are seen, of the logarithm of the best power for the mean of
# two members: on public tables it lies between 0 and 0.25.
SHARPENING = 0.15


@dataclass
class BestEpoch:
    """Keeps the parameters of the epoch with the smallest loss on held-out rows.

    It ends the solve with STOPPED after the planned epochs, which a schedule of the learning rate
    counts on: none of them is a failure to converge.

    Parameters
    ----------
    n_epochs : int
        The plan.
    loss : callable, optional
        Loss of a flat parameter array on held-out rows; without it the last epoch is the best.
    """

    n_epochs: int
    loss: Callable[[Any], float] | None = None
    losses: list[float] = field(default_factory=list)
    w: Any = None
    best: float = inf

    def check(self, report: Report) -> Status | None:
        if self.loss is not None:
            now = self.loss(report.state.w)
            self.losses.append(now)
            if now < self.best or self.w is None:
                self.best = now
                self.w = namespace_of(report.state.w).asarray(report.state.w, copy=True)
        return Status.STOPPED if report.n_iter >= self.n_epochs else None


def parts(labels: Any, n_parts: int, rng: Any) -> np.ndarray:
    """The part, 0 to ``n_parts - 1``, that each sample is held out with.

    Parameters
    ----------
    labels : array of shape (n,), optional
        Every part gets its share of each label, as nearly as whole samples allow.
    n_parts : int
        Number of parts; their sizes differ by one at most.
    rng : Generator or RandomState
        Shuffles the samples first.
    """
    order = rng.permutation(labels.shape[0])
    order = order[np.argsort(labels[order], kind="stable")]
    part = np.empty(labels.shape[0], dtype=np.intp)
    part[order] = np.arange(labels.shape[0]) % n_parts
    return part


def log_loss(z: Any, codes: Any, weights: Any = None) -> float:
    """Mean negative log-likelihood of raw outputs ``z`` (n, K) at the classes ``codes``."""
    z = z - z.max(axis=1, keepdims=True)
    each = np.log(np.exp(z).sum(axis=1)) - z[np.arange(z.shape[0]), codes]
    return float(np.average(each, weights=weights))


def fitted_temperature(z: Any, codes: Any, weights: Any = None) -> float:
    r"""The T for which softmax(z / T) has the smallest log-loss on held-out rows.

    Parameters
    ----------
    z : array of shape (n, K)
        Raw outputs of a network for rows that it was not trained on.
    codes : array of shape (n,)
        Their classes, as columns of ``z``.
    weights : array of shape (n,), optional
        Sample weights.

    Returns
    -------
    float
        Between e^-3 and e^3. A standard normal prior on its logarithm, worth one sample, decides
        where the rows are separated and the loss falls without end.

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On calibration of modern neural networks", ICML 2017.
    """
    z = np.asarray(z, np.float64)
    count = z.shape[0]

    def loss(t: float) -> float:
        return log_loss(z / exp(t), codes, weights) + 0.5 * t * t / count

    return exp(float(minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded").x))


def seen_by_two(
    p: list[np.ndarray], held: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What each member and the next say about the rows that both held out, and which rows these
    are; of each pair the member with an even number comes first.

    Parameters
    ----------
    p : list of array of shape (n_k, K)
        Probabilities of each member for its held-out rows.
    held : list of array of shape (n_k,)
        Positions of these rows.
    """
    none = np.zeros((0, p[0].shape[1]))
    even, odd, rows = [none], [none], [np.zeros(0, np.intp)]
    for k in range(len(p) - 1):
        both, one, two = np.intersect1d(held[k], held[k + 1], return_indices=True)
        pair = [p[k][one], p[k + 1][two]]
        even.append(pair[k % 2])
        odd.append(pair[1 - k % 2])
        rows.append(both)
    return np.concatenate(even), np.concatenate(odd), np.concatenate(rows)


def fitted_share(one: Any, two: Any, codes: Any, weights: Any = None) -> float:
    r"""The share s for which ``(1 - s) one + s two`` has the smallest log-loss on held-out rows.

    Parameters
    ----------
    one, two : array of shape (n, K)
        Probabilities of two classifiers for rows that neither was trained on.
    codes : array of shape (n,)
        The classes of the rows, as columns.
    weights : array of shape (n,), optional
        Sample weights.

    Returns
    -------
    float
        Between 0 and 1. The prior :math:`4 s (1 - s)`, worth one sample, decides where the rows
        say nothing.
    """
    at = np.arange(codes.shape[0])
    a, b = np.asarray(one, np.float64)[at, codes], np.asarray(two, np.float64)[at, codes]
    tiny = np.finfo(np.float64).tiny

    def loss(s: float) -> float:
        each = -np.log(np.maximum((1 - s) * a + s * b, tiny))
        return float(np.average(each, weights=weights)) - log(4 * s * (1 - s)) / at.shape[0]

    return float(minimize_scalar(loss, bounds=(1e-6, 1 - 1e-6), method="bounded").x)


def sharpened(p: Any, power: float) -> np.ndarray:
    """Probabilities of shape (n, K), raised to a power and scaled to a sum of 1 again."""
    # By the largest first: a small power of a small number may be no number.
    p = (p / p.max(axis=1, keepdims=True)) ** power
    return p / p.sum(axis=1, keepdims=True)


def fitted_sharpness(
    p: Any, codes: Any, weights: Any = None, *, n_members: float, n_averaged: float = 2
) -> float:
    r"""The power that makes the mean of ``n_members`` classifiers as sure as it may be.

    Members that are right about their doubts are, where they err differently, too cautious
    together. The logarithm of the best power of a mean of M is proportional to
    :math:`1 - 1/M`, the share of the members' differences that the mean is rid of: it is fitted
    for few members and extrapolated.

    Parameters
    ----------
    p : array of shape (n, K)
        Means of the probabilities of ``n_averaged`` members, for rows that none was trained on.
    codes : array of shape (n,)
        The classes of the rows, as columns of ``p``.
    weights : array of shape (n,), optional
        Sample weights.
    n_members, n_averaged : float
        Members that answer, and members of each mean in ``p``, above 1; of members with shares
        :math:`s_m` of the answer there are as many as :math:`1 / \sum_m s_m^2`.

    Returns
    -------
    float
        At least 1. A normal prior on the logarithm of the power for ``n_averaged`` keeps it near 0
        where few rows, or rows without errors, say little.
    """
    z = np.log(np.clip(np.asarray(p, np.float64), np.finfo(np.float64).tiny, None))
    count = z.shape[0]

    def loss(t: float) -> float:
        return log_loss(z * exp(t), codes, weights) + 0.5 * (t / SHARPENING) ** 2 / count

    t = float(minimize_scalar(loss, bounds=(0.0, 1.0), method="bounded").x)
    return exp(t * (1 - 1 / n_members) / (1 - 1 / n_averaged))
