"""When coordinate descent ends with the exact minimum over its support."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

# Sweeps to come are slower than those that were: the first ones gain most. Epochs of lasso_text to
# a gap of 1e-4, foreseen after five by their rate and needed: 9, 19 (benchmarks.run lasso_text
# --solvers anderson_cd).
SLOWER = 2.0


@dataclass
class NewtonFinish:
    """What was seen at the last look at an iterate: signs, since when they stand, epoch and
    indicator.

    The exact minimum over the nonzero coefficients takes as long as some epochs on them. It is
    taken once the epochs that are still to come, at half of the present rate, are as many together
    with those since the signs stand still; while no rate is known, signs have to have stood.
    """

    signs: Any = None
    settled_at: int = 0
    seen: tuple[int, float] = (0, math.inf)

    def step(self, model: Any, n_iter: int, indicator: Any, target: float) -> bool:
        """Go to the minimum of ``model`` over its support, in place, where it pays; whether it did.

        Parameters
        ----------
        model : CoordinateModel
            With the iterate ``w``; one without ``subspace_step`` is left as it is.
        n_iter : int
            Epochs done.
        indicator : float
            Of the last sweep over all coordinates.
        target : float
            What the indicator has to reach.
        """
        if not indicator > target or not hasattr(model, "subspace_step"):
            return False
        (epoch, last), now = self.seen, float(indicator)
        if now == last:
            return False  # no sweep over all coefficients since the last look
        self.seen = (n_iter, now)
        xp, signs = model.xp, self.signs
        self.signs = xp.sign(model.w)
        if signs is None or not bool(xp.all(self.signs == signs)):
            self.settled_at = n_iter
        ahead = math.inf
        if 0 < target < now < last < math.inf:
            ahead = SLOWER * math.log(now / target) * (n_iter - epoch) / math.log(last / now)
        stood = n_iter - self.settled_at
        known = stood > 0 or ahead < math.inf
        pays = known and stood + ahead >= model.cost_of_subspace()
        if pays:
            model.subspace_step()
            self.settled_at = n_iter
        return pays
