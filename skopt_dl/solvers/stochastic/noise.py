r"""Noise on purpose: parts that are put around a rule and disturb the gradients it asks for.

Letters: w where a gradient is taken, g the gradient, z a standard normal draw, t the updates done,
:math:`\eta` the learning rate, :math:`\sigma` a size.
"""

from __future__ import annotations

from abc import abstractmethod
from math import isfinite, sqrt
from typing import Any, ClassVar

from skopt_dl.engine import Needs, Oracle, Problem, Solver, Status


class Around(Solver):
    """A rule whose batch gradients are disturbed; its rate is chosen without the disturbance.

    Parameters
    ----------
    rule : Solver
        A stochastic rule.
    """

    unit: ClassVar = "epoch"
    rule: Any

    @property
    def needs(self) -> Needs:  # type: ignore[override]
        """What the rule needs."""
        return self.rule.needs

    def init(self, problem: Problem, w: Any, rng: Any) -> Any:
        self._check()
        return self.rule.init(problem, w, rng)

    def advance(self, problem: Problem, state: Any, n: int) -> Status:
        return self.rule.advance(Seen(problem, state, self), state, n)

    def _check(self) -> None:
        """Raise unless the settings are numbers >= 0.

        Raises
        ------
        ValueError
            Naming the class, the setting and its value.
        """
        for name, value in self.get_params(deep=False).items():
            if name == "rule":
                continue
            if not (isinstance(value, int | float) and isfinite(value) and value >= 0):
                raise ValueError(
                    f"{type(self).__name__}: {name}={value!r}, but it must be a number >= 0"
                )

    @abstractmethod
    def _disturbed(self, problem: Any, state: Any, w: Any, index: Any) -> tuple[Any, Any]:
        """Value and gradient on the batch ``index`` as the rule is to see them."""


class Seen:
    """A problem as a rule sees it through `Around`."""

    def __init__(self, problem: Any, state: Any, around: Around) -> None:
        self._problem, self._state, self._around = problem, state, around

    def __getattr__(self, name: str) -> Any:
        return getattr(self._problem, name)

    def sample_grad(self, w: Any, index: Any) -> tuple[Any, Any]:
        """See `Around._disturbed`."""
        return self._around._disturbed(self._problem, self._state, w, index)


class GradientNoise(Around):
    """Gradients with normal noise that fades.

    .. math::

        g \\leftarrow g + \\sigma_t z, \\qquad \\sigma_t = \\frac{\\sigma}{(1 + t)^{\\gamma / 2}}

    Needs what the rule needs.

    Parameters
    ----------
    rule : Solver
        A stochastic rule, say ``SGD()`` or ``Adam()``.
    scale : float
        :math:`\\sigma`, non-negative; 0 is the rule itself.
    decay : float
        :math:`\\gamma`, non-negative; 0 keeps the noise.

    References
    ----------
    A. Neelakantan and others, "Adding gradient noise improves learning for very deep networks",
    2015.
    """

    def __init__(self, rule: Any, *, scale: float = 0.1, decay: float = 0.55) -> None:
        self.rule, self.scale, self.decay = rule, scale, decay

    def _disturbed(self, problem: Any, state: Any, w: Any, index: Any) -> tuple[Any, Any]:
        value, g = problem.sample_grad(w, index)
        size = self.scale / (1 + state.n_updates) ** (self.decay / 2)
        return value, g + size * normal(problem, state.rng) if size > 0 else g


class Langevin(Around):
    """Gradients with the noise that makes a rule a thermometer: stochastic Langevin dynamics.

    .. math::

        g \\leftarrow g + \\sqrt{2 T_t / \\eta}\\, z, \\qquad T_t = T / (1 + t)^\\gamma

    so that SGD moves by :math:`-\\eta g + \\sqrt{2 \\eta T_t}\\, z`. With a constant temperature
    and a small rate, its iterates are distributed like :math:`\\exp(-F / T)`; with a falling one
    they settle in a minimum, as a rule a deep one.

    Needs what the rule needs.

    Parameters
    ----------
    rule : Solver
        A stochastic rule; the distribution is that of ``SGD(learning_rate=..., schedule=...)``.
    temperature : float
        T, non-negative, in units of the objective.
    decay : float
        :math:`\\gamma`, non-negative; 0 keeps the temperature.

    References
    ----------
    M. Welling, Y. W. Teh, "Bayesian learning via stochastic gradient Langevin dynamics", ICML 2011.
    """

    def __init__(self, rule: Any, *, temperature: float = 1e-4, decay: float = 0.0) -> None:
        self.rule, self.temperature, self.decay = rule, temperature, decay

    def _disturbed(self, problem: Any, state: Any, w: Any, index: Any) -> tuple[Any, Any]:
        value, g = problem.sample_grad(w, index)
        heat = self.temperature / (1 + state.n_updates) ** self.decay
        if heat == 0 or state.rate == 0:
            return value, g
        return value, g + sqrt(2 * heat / state.rate) * normal(problem, state.rng)


class Continuation(Around):
    """Graduated smoothing: gradients of a blurred objective, sharper from epoch to epoch.

    .. math::

        g \\leftarrow \\frac1{2m} \\sum_{j=1}^{m} \\big(\\nabla f(w + \\sigma_k z_j)
        + \\nabla f(w - \\sigma_k z_j)\\big), \\qquad \\sigma_k = \\sigma\\, (1 - k / N)_+

    which is, in the mean, the gradient of :math:`E f(w + \\sigma_k z)` in epoch k. From epoch N on
    it is the rule itself, at a start that the blurred objectives have chosen.

    Needs what the rule needs.

    Parameters
    ----------
    rule : Solver
        A stochastic rule.
    scale : float
        :math:`\\sigma`, non-negative, in the units of the parameters.
    n_epochs : int
        N.
    n_pairs : int
        m, pairs of gradients for each update.

    Notes
    -----
    Blurring need not make an objective convex: that of :math:`-e^{-x^2}` never is.

    References
    ----------
    Z. Wu, "The effective energy transformation scheme as a special continuation approach to global
    optimization", SIAM J. Optim. 6 (1996); E. Hazan, K. Levy, S. Shalev-Shwartz, "On graduated
    optimization for stochastic non-convex problems", ICML 2016.
    """

    def __init__(
        self, rule: Any, *, scale: float = 0.1, n_epochs: int = 10, n_pairs: int = 1
    ) -> None:
        self.rule, self.scale, self.n_epochs, self.n_pairs = rule, scale, n_epochs, n_pairs

    def _disturbed(self, problem: Any, state: Any, w: Any, index: Any) -> tuple[Any, Any]:
        left = 1 - state.n_epochs / self.n_epochs if self.n_epochs else 0.0
        size = self.scale * left
        if size <= 0 or self.n_pairs < 1:
            return problem.sample_grad(w, index)
        value, g = 0.0, problem.xp.zeros_like(w)
        for _ in range(int(self.n_pairs)):
            shift = size * normal(problem, state.rng)
            for point in (w + shift, w - shift):
                # A gradient is overwritten by the next one: it is added at once.
                one, slope = problem.sample_grad(point, index)
                value, g = value + one, g + slope
        return value / (2 * self.n_pairs), g / (2 * self.n_pairs)


class LabelNoise(Around):
    """Targets with fresh noise in every epoch, in which each sample is seen once.

    .. math:: y_i \\leftarrow y_i + \\sigma z_i

    and, of a share of the samples, the targets of others. Where many points fit the targets, the
    noise drifts along them, at the pace of the learning rate, to where the trace of the Hessian is
    small.

    Needs what the rule needs, and targets that can be replaced.

    Parameters
    ----------
    rule : Solver
        A stochastic rule.
    scale : float
        :math:`\\sigma`, non-negative, in units of the targets.
    flip : float
        Share of the samples that get the target of a random one, in [0, 1]: noise on classes.

    References
    ----------
    G. Blanc, N. Gupta, G. Valiant, P. Valiant, "Implicit regularization for deep neural networks
    driven by an Ornstein-Uhlenbeck like process", COLT 2020; A. Damian, T. Ma, J. Lee, "Label noise
    SGD provably prefers flat global minimizers", NeurIPS 2021.
    """

    def __init__(self, rule: Any, *, scale: float = 0.0, flip: float = 0.0) -> None:
        self.rule, self.scale, self.flip = rule, scale, flip

    @property
    def needs(self) -> Needs:  # type: ignore[override]
        """What the rule needs, and targets that can be replaced."""
        needs = self.rule.needs
        return Needs(needs.oracles | {Oracle.TARGETS}, needs.traits)

    def advance(self, problem: Any, state: Any, n: int) -> Status:
        status = Status.RUNNING
        for _ in range(n):
            noisy = problem.with_targets(lambda y: self._noisy(problem, y, state.rng))
            status = self.rule.advance(noisy, state, 1)
        return status

    def _noisy(self, problem: Any, y: Any, rng: Any) -> Any:
        xp, count = problem.xp, y.shape[0]
        if self.flip > 0:
            other = rng.permutation(count)
            # One permutation in the place of independent draws keeps the frequencies of classes.
            hit = xp.asarray(rng.uniform(size=count) < self.flip, device=problem.device)
            mixed = xp.take(y, xp.asarray(other, device=problem.device), axis=0)
            y = xp.where(hit[:, None] if y.ndim == 2 else hit, mixed, y)
        if self.scale > 0:
            z = xp.asarray(rng.standard_normal(y.shape), dtype=y.dtype, device=problem.device)
            y = y + self.scale * z
        return y

    def _disturbed(self, problem: Any, state: Any, w: Any, index: Any) -> tuple[Any, Any]:
        return problem.sample_grad(w, index)


def normal(problem: Any, rng: Any) -> Any:
    """A standard normal draw of the length of the parameters, beside the problem's data."""
    z = rng.standard_normal(problem.size)
    return problem.xp.asarray(z, dtype=problem.dtype, device=problem.device)
