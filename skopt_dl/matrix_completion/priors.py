r"""The priors of the parameters of all rows, or of all columns: a mean and a precision a component.

.. math::

    u_{il} \sim N(\mu_l,\ 1/\gamma_l), \qquad \mu_l \mid \gamma_l \sim N(0,\ 1/\gamma_l), \qquad
    p(\gamma_l) \propto 1/\gamma_l

Without a mean of its own a component that is much the same in all rows, as the general level of
ratings is where no biases are fitted, would be shrunk as if all of it were signal. Its mean counts
as one more row: of a single row it explains half. For parameters with means P, variances S and r
copies, and with :math:`N = \sum_i r_i`,

.. math::

    m_l = \frac{\sum_i r_i P_{il}}{N + 1}, \qquad
    A_l = \sum_i r_i \big((P_{il} - m_l)^2 + S_{il}\big) + m_l^2, \qquad
    \gamma_l \sim \mathrm{Gamma}(N/2,\ A_l/2), \qquad
    \mu_l \mid \gamma_l \sim N\big(m_l,\ 1/((N + 1) \gamma_l)\big)

of which a fit takes :math:`m_l` and :math:`N / A_l` (R. Salakhutdinov, A. Mnih, "Bayesian
probabilistic matrix factorization using Markov chain Monte Carlo", ICML 2008; here for independent
components, and without constants that would depend on the unit of the entries).
"""

from __future__ import annotations

import math
from typing import Any

from skopt_dl.kernels.namespace import to_float


def fitted(
    xp: Any, copies: Any, values: Any, variances: Any, least: Any, levels: bool = True
) -> tuple[Any, Any]:
    """Precisions and means, arrays of shape (k,), for parameters (and variances) of shape (m, k).

    ``copies`` has shape (m,), zero for rows that do not count; ``least`` are the least sums
    :math:`A_l`. Draws have None for ``variances``. Without ``levels`` the means are zero.
    """
    count, r = xp.sum(copies), copies[:, None]
    mean = xp.sum(r * values, axis=0) / (count + 1)
    if not levels:
        mean = xp.zeros_like(mean)
    square = (values - mean) ** 2
    square = square if variances is None else square + variances
    power = xp.sum(r * square, axis=0) + mean * mean
    return count / xp.maximum(power, least), mean


def fitted_to_sums(xp: Any, count: Any, first: Any, second: Any, least: Any) -> tuple[Any, Any]:
    """The same for sums over ``count`` rows of P and of ``P^2 + S``."""
    mean = first / (count + 1)
    power = second - (count + 1) * mean * mean
    return count / xp.maximum(power, least), mean


def of_the_unseen(mean: Any, count: Any) -> Any:
    """What is expected of a row beside ``count`` others: their mean, where that of the prior counts
    one more of zeros among them."""
    return mean * ((count + 1) / count)


def drawn(problem: Any, copies: Any, precision: Any, mean: Any, rng: Any) -> tuple[Any, Any]:
    """Draws of both, from what `fitted` gives for parameters without variances."""
    xp, count = problem.xp, to_float(problem.xp.sum(copies))
    factors = rng.gamma(0.5 * count, size=precision.shape) / (0.5 * count)
    away = rng.standard_normal(mean.shape)
    factors, away = (
        xp.asarray(a, dtype=problem.dtype, device=problem.device) for a in (factors, away)
    )
    precision = precision * factors
    return precision, mean + away / xp.sqrt((count + 1) * precision)


def strength(xp: Any, b: Any, k: int, power: float, m: float, n: float, total: float) -> float:
    r"""The strength, per entry, of a ridge on k factors of m rows and n columns that weighs as much
    as the priors of ``b``; ``power`` stands for sizes of 0.

    Component l of size :math:`s_l = ((\gamma_l^{-1} + \mu_l^2) (\delta_l^{-1} + \nu_l^2))^{1/2}` is
    shrunk as by :math:`\sqrt{mn} / (\tau s_l \sum\omega)`; the mean with weights :math:`s_l^2`.
    """
    s = xp.sqrt(1 / b.gamma[:k] + b.mu[:k] ** 2) * xp.sqrt(1 / b.delta[:k] + b.nu[:k] ** 2)
    s = xp.where(s > 0, s, xp.full_like(s, power))
    mean = to_float(xp.sum(s)) / to_float(xp.sum(s * s))
    return mean * math.sqrt(m * n) / (to_float(b.tau[0]) * total)


def divergence(xp: Any, copies: Any, values: Any, variances: Any, precision: Any, mean: Any) -> Any:
    """Kullback-Leibler divergence of the posteriors from their priors, and the means' own."""
    tiny = xp.finfo(values.dtype).smallest_normal
    relative = xp.clip(precision * variances, tiny, None)
    each = precision * ((values - mean) ** 2 + variances) - xp.log(relative) - 1
    return 0.5 * (xp.sum(copies[:, None] * each) + xp.sum(precision * mean * mean))
