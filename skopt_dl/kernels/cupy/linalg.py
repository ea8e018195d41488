"""``linalg`` of the array-API standard on top of a module that has NumPy's classic functions.

CuPy's ``linalg`` returns bare tuples where the standard names the parts, lacks ``diagonal``,
``trace`` and others, and by default returns NaN where a factorisation fails (seen in CuPy 14.2).

Source of the names: the array API standard 2024.12, https://data-apis.org/array-api/2024.12/.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

from numpy.linalg import LinAlgError


class QRResult(NamedTuple):
    """Parts of ``qr``."""

    Q: Any
    R: Any


class EighResult(NamedTuple):
    """Parts of ``eigh``."""

    eigenvalues: Any
    eigenvectors: Any


class SVDResult(NamedTuple):
    """Parts of ``svd``."""

    U: Any
    S: Any
    Vh: Any


class SlogdetResult(NamedTuple):
    """Parts of ``slogdet``."""

    sign: Any
    logabsdet: Any


class StandardLinalg:
    """The functions of the standard's ``linalg``; what is not here is taken from ``module.linalg``.

    Parameters
    ----------
    module : module
        ``cupy``, or another with NumPy's functions.
    """

    def __init__(self, module: ModuleType) -> None:
        self._xp, self._module = module, module.linalg

    # --- factorisations -------------------------------------------------------------------------

    def cholesky(self, x: Any, *, upper: bool = False) -> Any:
        """The triangular factor.

        Raises
        ------
        numpy.linalg.LinAlgError
            If ``x`` is not positive definite. Finding out waits for the device.
        """
        L = self._module.cholesky(x)
        if not bool(self._xp.all(self._xp.isfinite(L))):
            raise LinAlgError("the matrix is not positive definite")
        return L.swapaxes(-1, -2) if upper else L

    def qr(self, x: Any, *, mode: str = "reduced") -> QRResult:
        """Orthogonal and triangular factor."""
        return QRResult(*self._module.qr(x, mode))

    def eigh(self, x: Any) -> EighResult:
        """Eigenvalues in ascending order and eigenvectors of a symmetric matrix."""
        return EighResult(*self._module.eigh(x))

    def svd(self, x: Any, *, full_matrices: bool = True) -> SVDResult:
        """Singular value decomposition ``U diag(S) Vh``."""
        return SVDResult(*self._module.svd(x, full_matrices=full_matrices))

    def svdvals(self, x: Any) -> Any:
        """Singular values in descending order."""
        return self._module.svd(x, compute_uv=False)

    def slogdet(self, x: Any) -> SlogdetResult:
        """Sign and logarithm of the determinant."""
        return SlogdetResult(*self._module.slogdet(x))

    # --- parts and products ---------------------------------------------------------------------

    def diagonal(self, x: Any, *, offset: int = 0) -> Any:
        """Diagonals of the last two axes."""
        return self._xp.diagonal(x, offset=offset, axis1=-2, axis2=-1)

    def trace(self, x: Any, *, offset: int = 0, dtype: Any = None) -> Any:
        """Sums of the diagonals of the last two axes."""
        return self._xp.trace(x, offset=offset, axis1=-2, axis2=-1, dtype=dtype)

    def matrix_transpose(self, x: Any) -> Any:
        """The last two axes exchanged."""
        return x.swapaxes(-1, -2)

    def matmul(self, x1: Any, x2: Any) -> Any:
        """The matrix product."""
        return self._xp.matmul(x1, x2)

    def outer(self, x1: Any, x2: Any) -> Any:
        """The outer product of two vectors."""
        return self._xp.outer(x1, x2)

    def tensordot(self, x1: Any, x2: Any, *, axes: Any = 2) -> Any:
        """The sum of products over ``axes``."""
        return self._xp.tensordot(x1, x2, axes=axes)

    def vecdot(self, x1: Any, x2: Any, *, axis: int = -1) -> Any:
        """Inner products along ``axis``."""
        return self._xp.sum(x1 * x2, axis=axis)

    # --- norms ----------------------------------------------------------------------------------

    def vector_norm(self, x: Any, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
        """The norm over ``axis``, or of all entries as one vector."""
        if axis is None:
            norm = self._module.norm(x.reshape(-1), ord=ord)
            return norm.reshape((1,) * x.ndim) if keepdims else norm
        return self._module.norm(x, axis=axis, keepdims=keepdims, ord=ord)

    def matrix_norm(self, x: Any, *, keepdims: bool = False, ord: Any = "fro") -> Any:
        """The norm of the last two axes."""
        return self._module.norm(x, axis=(-2, -1), keepdims=keepdims, ord=ord)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._module, name)
