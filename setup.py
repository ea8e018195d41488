"""Compiles the Cython kernels; everything else stands in setup.cfg."""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

# As fast as -ffast-math on these loops, but NaN, inf and denormal numbers keep their meaning.
FLAGS = ["-O3", "-g0", "-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros"]
FLAGS += ["-fassociative-math"]

sources = sorted(Path("skopt_dl/kernels/cython").glob("*.pyx"))
extensions = [
    Extension(".".join(p.with_suffix("").parts), [str(p)], extra_compile_args=FLAGS)
    for p in sources
]
cores = os.cpu_count() or 1
setup(
    ext_modules=cythonize(extensions, nthreads=cores, compiler_directives={"embedsignature": True}),
    options={"build_ext": {"parallel": cores}},
)
