"""When coordinate descent ends with Newton's step on its support."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

# A Newton step on s coefficients takes as long as s / STEP_SHARE epochs on them: s/4 times the
# operations of an epoch at several times the rate (benchmarks.run lasso_square --solvers cd).
STEP_SHARE = 10


@dataclass
class NewtonFinish:
    """What was seen at the last look at an iterate: signs, since when they stand, epoch and
    indicator.

    Once the signs have settled, the objective is quadratic where the iterates are, and one Newton
    step on the nonzero coefficients goes to its minimum. It takes as long as about s/10 epochs on
    s of them, so it is taken once the epochs since the signs stand still, with those that are still
    to come at the present rate, are as many.
    """

    signs: Any = None
    settled_at: int = 0
    seen: tuple[int, float] = (0, math.inf)

    def step(self, model: Any, n_iter: int, indicator: Any, target: float) -> bool:
        """Newton's step of ``model`` on its support, in place, where it pays; whether it did.

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
        xp, signs = model.xp, self.signs
        self.signs = xp.sign(model.w)
        if signs is None or not bool(xp.all(self.signs == signs)):
            self.settled_at = n_iter
        (epoch, last), now = self.seen, float(indicator)
        if now == last:
            return False  # no sweep over all coefficients since the last look
        self.seen = (n_iter, now)
        ahead = math.inf
        if 0 < target < now < last < math.inf:
            ahead = math.log(now / target) * (n_iter - epoch) / math.log(last / now)
        stood = n_iter - self.settled_at
        pays = stood > 0 and stood + ahead >= int(xp.count_nonzero(self.signs)) / STEP_SHARE
        if pays:
            model.subspace_step()
            self.settled_at = n_iter
        return pays
