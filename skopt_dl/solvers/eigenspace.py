r"""The curvature at a point in eigenvectors: of the whole space, or of a growing Krylov space.

Letters: g the gradient, H the curvature, s the step, U the units of lengths, a the coefficients of
the step, :math:`\mu` the shift.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from skopt_dl.kernels.namespace import to_float
from skopt_dl.linops.lanczos import Lanczos, Spectrum, dense_spectrum, matrix_of
from skopt_dl.search import model_decrease

# A Krylov space grows by this factor where its step is not yet accurate.
GROWTH = 1.5
FIRST = 4


class Eigenspace:
    """What is known of the curvature at one point; kept while steps from it are refused.

    Parameters
    ----------
    problem, point
        Where.
    product : callable
        ``d -> H d``.
    units : array of shape (size,), optional
        A positive U: lengths are those of :math:`\\tilde s = U s`, and all below is in these
        variables, the gradient :math:`U^{-1} g` and the curvature :math:`U^{-1} H U^{-1}`.
    """

    def __init__(
        self, problem: Any, point: Any, product: Callable[[Any], Any], units: Any = None
    ) -> None:
        self.problem, self.point, self.units = problem, point, units
        self.grad, self.product = point.grad, product
        if units is not None:
            self.grad = point.grad / units
            self.product = lambda d: product(d / units) / units
        self._lanczos: Lanczos | None = None
        self._whole: Spectrum | None = None

    def belongs_to(self, point: Any) -> bool:
        """Whether this is the space of ``point``."""
        return self.point is point

    def whole(self) -> Spectrum:
        """The spectrum of H on all parameters."""
        if self._whole is None:
            H = matrix_of(self.product, self.grad)
            self._whole = dense_spectrum(H, self.grad)
        return self._whole

    def krylov(self, k: int) -> Spectrum:
        """The spectrum of H on the Krylov space of the gradient, of ``k`` dimensions at most."""
        if self._lanczos is None:
            self._lanczos = Lanczos(self.product, self.grad)
        self._lanczos.extend(k)
        return self._lanczos.spectrum()

    @property
    def exhausted(self) -> bool:
        """Whether the Krylov space cannot grow any more."""
        return self._lanczos is not None and self._lanczos.exhausted

    def step(self, scaled: Any) -> Any:
        """The step whose :math:`\\tilde s` is ``scaled``."""
        return scaled if self.units is None else scaled / self.units

    def length(self, s: Any) -> float:
        """The length of a step."""
        return to_float(
            self.problem.xp.linalg.vector_norm(s if self.units is None else self.units * s)
        )

    def minimise(
        self, rule: Callable[[Spectrum], tuple[Any, float]], max_dim: int, *, exact: bool
    ) -> tuple[Any, float, bool]:
        """The step, what the quadratic model promises for it, and whether it was shifted.

        A Krylov space grows until the step's residual is
        :math:`\\min(1/2, \\sqrt{|g|})\\,|g|`.
        """
        if exact:
            spectrum = self.whole()
            a, shift = rule(spectrum)
        else:
            size = to_float(self.problem.xp.linalg.vector_norm(self.grad))
            enough, k = min(0.5, size**0.5) * size, min(FIRST, max_dim)
            while True:
                spectrum = self.krylov(k)
                a, shift = rule(spectrum)
                if spectrum.residual(a) <= enough or self.exhausted or k >= max_dim:
                    break
                k = min(max_dim, int(GROWTH * k) + 1)
        promised = model_decrease(spectrum.values, spectrum.c, a)
        return self.step(spectrum.lift(a)), promised, shift > 0
