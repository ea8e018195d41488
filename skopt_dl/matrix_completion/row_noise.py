r"""The noise of each row: people differ in how steadily they judge, sensors in how they measure.

.. math::

    x_{ij} \sim N(\dots,\ 1/(\tau \lambda_i \omega_{ij})), \qquad
    \lambda_i \sim \mathrm{Gamma}(\eta/2,\ \eta/2)

around a common precision :math:`\tau`, which makes the errors of all rows together those of a t
distribution. For a row of weight :math:`c_i` that is given r times and has the expected sum of
squared errors :math:`s_i`,

.. math::

    \lambda_i \sim \mathrm{Gamma}\big((r_i \eta + c_i)/2,\ (r_i \eta + \tau s_i)/2\big)

and :math:`\eta`, which is large where rows are alike, is drawn from a grid, even in its logarithm
(B. Lakshminarayanan, G. Bouchard, C. Archambeau, "Robust Bayesian matrix factorisation", AISTATS
2011, who fit it).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import digamma, gammaln

from skopt_dl.kernels.namespace import device_of, namespace_of, to_float, to_numpy

# Degrees of freedom to begin with, and those to draw from.
FIRST = 10.0
DEGREES = np.geomspace(1.0, 1e4, 200)


def fitted(xp: Any, copies: Any, weight: Any, errors: Any, tau: Any, eta: Any) -> Any:
    """Means of the precisions, an array of shape (m,); one for rows without entries."""
    known = copies > 0
    rate = xp.where(known, copies * eta + tau * errors, xp.ones_like(errors))
    return xp.where(known, (copies * eta + weight) / rate, xp.ones_like(errors))


def drawn(problem: Any, mean: Any, eta: Any, rng: Any) -> tuple[Any, Any]:
    """Draws of the precisions around what `fitted` gives, then of the degrees given these."""
    xp, copies, weight = problem.xp, problem.row_copies, problem.observed.row_weight
    count, weight = to_numpy(copies), to_numpy(weight)
    shape = 0.5 * (count * to_float(eta[0]) + weight)
    factor = np.where(count > 0, rng.gamma(np.where(count > 0, shape, 1.0)), 1.0)
    factor = np.where(count > 0, factor / np.where(count > 0, shape, 1.0), 1.0)
    lam = mean * xp.asarray(factor, dtype=problem.dtype, device=problem.device)
    one = xp.ones_like(lam)
    sums = (xp.sum(copies * a) for a in (one, xp.log(xp.where(copies > 0, lam, one)), lam))
    n, logs, total = (to_float(a) for a in sums)
    half = 0.5 * DEGREES
    chances = n * (half * np.log(half) - gammaln(half)) + half * (logs - total)
    chances = np.exp(chances - np.max(chances))
    chosen = float(rng.choice(DEGREES, p=chances / np.sum(chances)))
    return lam, xp.zeros_like(eta) + chosen


def divergence(copies: Any, weight: Any, lam: Any, eta: float) -> Any:
    """What the precisions add to the free energy (times the weight of all entries).

    Kullback-Leibler divergence of the Gamma posteriors of these means from the prior, less the
    expected logarithms that the density of the entries has.
    """
    xp, count, half = namespace_of(lam), to_numpy(copies), 0.5 * eta
    known = count > 0
    r = np.where(known, count, 1.0)
    share = to_numpy(weight) / r
    a = half + 0.5 * share
    # Of a posterior with shape a and mean one: a mean lam adds the rest.
    log = digamma(a) - np.log(a)
    fixed = (a - half) * digamma(a) - gammaln(a) + gammaln(half)
    fixed = fixed + half * (np.log(a) - np.log(half)) - a - 0.5 * share * log
    constant = float(np.sum(np.where(known, r * fixed, 0.0)))
    logs = xp.log(xp.where(copies > 0, lam, xp.ones_like(lam)))
    slope = xp.asarray(np.where(known, r * a, 0.0), dtype=lam.dtype, device=device_of(lam))
    return xp.sum(half * copies * lam - slope * logs) + constant
