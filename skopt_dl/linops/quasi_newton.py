r"""The inverse Hessian of L-BFGS as an operator: a few pairs and one scale."""

from __future__ import annotations

from collections import deque
from typing import Any

from skopt_dl.kernels.namespace import namespace_of, to_float


class InverseHessian:
    r"""What a limited number of BFGS updates make of a multiple of the identity.

    .. math::

        H \leftarrow (I - \rho s y') H (I - \rho y s') + \rho s s', \qquad \rho = 1 / s'y

    for the kept pairs, the oldest first, from :math:`\gamma I` with
    :math:`\gamma = s'y / y'y` of the newest. No matrix is formed; products use the two-loop
    recursion and no scalar of it leaves the device.

    Parameters
    ----------
    memory : int
        Pairs kept; the oldest gives way.
    """

    def __init__(self, memory: int) -> None:
        self.pairs: deque[tuple[Any, Any, Any]] = deque(maxlen=memory)
        self.scale: Any = 1.0

    def __len__(self) -> int:
        return len(self.pairs)

    def push(self, s: Any, y: Any) -> bool:
        """Add the pair of a step and its change of gradient; false if it is left out.

        A pair without clear positive curvature would cost the operator its definiteness.
        """
        curvature, square = s @ y, y @ y
        eps = float(namespace_of(s).finfo(s.dtype).eps)
        if not to_float(curvature) > eps * to_float(square):
            return False
        self.pairs.append((s, y, 1 / curvature))
        self.scale = curvature / square
        return True

    def clear(self) -> None:
        """Forget every pair."""
        self.pairs.clear()
        self.scale = 1.0

    def apply(self, g: Any) -> Any:
        """``H g``."""
        q, weights = g, []
        for s, y, rho in reversed(self.pairs):
            weight = rho * (s @ q)
            weights.append(weight)
            q = q - weight * y
        q = self.scale * q
        for (s, y, rho), weight in zip(self.pairs, reversed(weights), strict=True):
            q = q + (weight - rho * (y @ q)) * s
        return q
