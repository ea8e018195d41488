r"""Inverse Hessians learned from steps and gradient changes: few pairs, few blocks, and dense."""

from __future__ import annotations

from collections import deque
from typing import Any

from skopt_dl.kernels import kernels_of
from skopt_dl.kernels.namespace import device_of, is_numpy, namespace_of, to_float
from skopt_dl.linops.factor import DiagonalFactor, NotPositiveDefiniteError, PositiveFactor


def _bends(s: Any, curvature: Any, square: Any) -> bool:
    """Whether ``s'y`` is positive clear of rounding, from it and ``y'y``."""
    eps = float(namespace_of(s).finfo(s.dtype).eps)
    return to_float(curvature) > eps * to_float(square)


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
    first : float
        The multiple of the identity before there is a pair.
    """

    def __init__(self, memory: int, first: float = 1.0) -> None:
        self.pairs: deque[tuple[Any, Any, Any]] = deque(maxlen=memory)
        self.first = first
        self.scale: Any = first

    def __len__(self) -> int:
        return len(self.pairs)

    def push(self, s: Any, y: Any) -> bool:
        """Add the pair of a step and its change of gradient; false if it is left out.

        A pair without clear positive curvature would cost the operator its definiteness.
        """
        curvature, square = s @ y, y @ y
        if not _bends(s, curvature, square):
            return False
        self.pairs.append((s, y, 1 / curvature))
        self.scale = curvature / square
        return True

    def clear(self) -> None:
        """Forget every pair."""
        self.pairs.clear()
        self.scale = self.first

    def apply(self, g: Any) -> Any:
        """``H g``."""
        return kernels_of(g).two_loop(self.pairs, self.scale, g)


class WhitenedInverseHessian:
    """What BFGS updates make of a multiple of ``G^-1``, for a factorised G.

    It is an `InverseHessian` in the variables in which G is the identity.

    Parameters
    ----------
    memory : int
        Pairs kept; the oldest gives way.
    factor : PositiveFactor or DiagonalFactor
        Of G.
    """

    def __init__(self, memory: int, factor: PositiveFactor | DiagonalFactor) -> None:
        self.factor, self.white = factor, InverseHessian(memory)

    def __len__(self) -> int:
        return len(self.white)

    def push(self, s: Any, y: Any) -> bool:
        """Add the pair of a step and its change of gradient; false if it is left out."""
        return self.white.push(self.factor.whitened_step(s), self.factor.whiten(y))

    def clear(self) -> None:
        """Forget every pair."""
        self.white.clear()

    def apply(self, g: Any) -> Any:
        """``H g``."""
        return self.factor.unwhitened_step(self.white.apply(self.factor.whiten(g)))


class BlockInverseHessian:
    r"""What a limited number of block BFGS updates make of a multiple of the identity.

    .. math::

        H \leftarrow D \Delta^{-1} D' + (I - D \Delta^{-1} Y') H (I - Y \Delta^{-1} D'), \qquad
        \Delta = D'Y

    for blocks of directions D and their curvature Y, so :math:`H Y = D` for the newest. With one
    direction a block it is BFGS.

    Parameters
    ----------
    memory : int
        Blocks kept; the oldest gives way.
    first : float
        The multiple of the identity that the oldest block updates.

    References
    ----------
    R. Gower, D. Goldfarb, P. Richtárik, "Stochastic block BFGS: squeezing more curvature out of
    data", ICML 2016, (10) and Algorithm 2.
    """

    def __init__(self, memory: int, first: float = 1.0) -> None:
        self.blocks: deque[tuple[Any, Any, Any]] = deque(maxlen=memory)
        self.first = first

    def __len__(self) -> int:
        return len(self.blocks)

    def push(self, D: Any, Y: Any) -> bool:
        """Add a block; false if it is left out: its curvature is not clearly positive."""
        try:
            factor = PositiveFactor(D.T @ Y)
        except NotPositiveDefiniteError:
            return False
        if factor.smallest < float(namespace_of(D).finfo(D.dtype).eps) ** 0.5:
            return False
        eye = namespace_of(D).eye(D.shape[1], dtype=D.dtype, device=device_of(D))
        self.blocks.append((D, Y, factor.solve(eye)))
        return True

    def clear(self) -> None:
        """Forget every block."""
        self.blocks.clear()

    def apply(self, g: Any) -> Any:
        """``H g``."""
        q, weights = g, []
        for D, Y, inverse in reversed(self.blocks):
            weight = inverse @ (D.T @ q)
            weights.append(weight)
            q = q - Y @ weight
        q = self.first * q
        for (D, Y, inverse), weight in zip(self.blocks, reversed(weights), strict=True):
            q = q + D @ (weight - inverse @ (Y.T @ q))
        return q


# Numbers of a part of a matrix that is updated at a time, on the host.
PART = 2**16


class DenseInverseHessian:
    r"""What BFGS updates make of the identity, all of them kept in one matrix.

    .. math::

        H \leftarrow H + \rho\,(1 + \rho\, y'Hy)\, s s' - \rho\,(H y s' + s y' H),
        \qquad \rho = 1 / s'y

    Parameters
    ----------
    scaled : bool
        Take :math:`(s'y / y'y) I` of the first pair for the identity.

    Attributes
    ----------
    H : array of shape (p, p) or None
        The matrix; ``None`` stands for the identity.
    """

    def __init__(self, *, scaled: bool = True) -> None:
        self.scaled = scaled
        self.H: Any = None

    def push(self, s: Any, y: Any) -> bool:
        """Update by the pair of a step and its change of gradient; false if it is left out."""
        xp, curvature, square = namespace_of(s), s @ y, y @ y
        if not _bends(s, curvature, square):
            return False
        p, first, kind = s.shape[0], None, {"dtype": s.dtype, "device": device_of(s)}
        rho = 1 / curvature
        if self.H is None:
            # Memory that is given zeroed is not there yet: it comes with the parts.
            first = curvature / square if self.scaled else xp.ones_like(curvature)
            self.H, u = xp.zeros((p, p), **kind), first * y
        else:
            u = self.H @ y
        # Both terms are one symmetric product with s, added in parts that stay in the cache.
        v = (0.5 * rho * (1 + rho * (y @ u))) * s - rho * u
        rows = max(1, PART // p) if is_numpy(xp) else p
        for i in range(0, p, rows):
            part = slice(i, min(i + rows, p))
            if first is not None:
                self.H[part, part] = first * xp.eye(part.stop - part.start, **kind)
            self.H[part, :] += s[part, None] * v + v[part, None] * s
        return True

    def clear(self) -> None:
        """Go back to the identity."""
        self.H = None

    def apply(self, g: Any) -> Any:
        """``H g``."""
        return g if self.H is None else self.H @ g
