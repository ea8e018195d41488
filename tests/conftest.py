"""Settings of the whole suite."""

from __future__ import annotations

import os

# Before SciPy is imported: scikit-learn's array-API checks ask for it.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
