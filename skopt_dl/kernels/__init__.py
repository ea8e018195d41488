"""Kernels: the generic form of each is the specification, compiled twins are optional."""

from skopt_dl.kernels.bind import KernelSet, bind, kernels_of

__all__ = ["KernelSet", "bind", "kernels_of"]
