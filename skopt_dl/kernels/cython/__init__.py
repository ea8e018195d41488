"""Compiled kernels, typed for float32 and float64, without the GIL."""

from skopt_dl.kernels.cython import _cd_dense, _cd_sparse

MODULES = {"dense": (_cd_dense,), "sparse": (_cd_sparse,)}
