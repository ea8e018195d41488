"""Settings of the whole suite."""

from __future__ import annotations

import os

# Before SciPy is imported: scikit-learn's array-API checks ask for it.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
# Before NumPy is imported: the matrices of the tests are small, and workers share the cores.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
