"""The laws of an activation."""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.activations import Activation
from skopt_dl.testing.law import require, require_close

STEP = 1e-5  # of central differences: errors of about STEP^2


def check_activation(activation: Activation, *, seed: int = 0) -> None:
    """Check slope, curvature, range and dtype of ``activation``.

    Parameters
    ----------
    activation : Activation
        An instance of your class.
    seed : int
        Of the random inputs.

    Raises
    ------
    AssertionError
        Naming the broken law.
    """
    rng = np.random.default_rng(seed)
    # Away from 0, where a rectifier has its kink.
    z = rng.choice([-1.0, 1.0], (40, 3)) * (0.01 + 4 * rng.random((40, 3)))
    before = z.copy()
    f = activation.value
    a = f(z)
    slope = activation.slope(z, a)
    for what, array in (("value", a), ("slope", slope)):
        require(f"a {what} has the shape of the input", array.shape == z.shape, f"{array.shape}")
    require("the input stays as it is", np.array_equal(z, before))
    require("a value is a new array", not np.shares_memory(a, z))
    difference = (f(z + STEP) - f(z - STEP)) / (2 * STEP)
    require_close("slope = difference of values", slope, difference, 1e-7, 1e-9)

    def slope_at(z: Any) -> Any:
        return activation.slope(z, f(z))

    if hasattr(activation, "curvature"):
        bend = (slope_at(z + STEP) - slope_at(z - STEP)) / (2 * STEP)
        require_close(
            "curvature = difference of slopes", activation.curvature(z, a), bend, 1e-7, 1e-8
        )
    far = np.array([-1e6, -1e3, -100.0, 0.0, 100.0, 1e3, 1e6])
    with np.errstate(over="ignore"):
        require("values are numbers far out", not np.any(np.isnan(f(far))))
        require("slopes are numbers far out", not np.any(np.isnan(slope_at(far))))
    single = z.astype(np.float32)
    require("float32 stays float32", f(single).dtype == np.float32, f"{f(single).dtype}")
    require("slopes of float32 stay float32", slope_at(single).dtype == np.float32)
