"""The rows that a network is not trained on: its score and its loss there, epoch by epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from skopt_dl.kernels.generic_network import output_loss
from skopt_dl.kernels.namespace import namespace_of, to_float
from skopt_dl.neural_network.network import Network


@dataclass
class Validation:
    """Scores flat parameters on held-out rows.

    Attributes
    ----------
    net : Network
        The layout.
    X : array or sparse matrix of shape (n, p)
        The rows, as the network sees them.
    targets : array of shape (n, K)
        Their targets in the form of the output.
    weights : array of shape (n,), optional
        Sample weights.
    metric : callable, optional
        ``(w, response) -> float``, larger is better; minus the loss without.
    """

    net: Network
    X: Any
    targets: Any
    weights: Any
    metric: Callable[[Any, Any], float] | None

    def __call__(self, w: Any) -> tuple[float, float]:
        """Score and loss of the parameters ``w``; ``nan`` where the response is not finite.

        The loss is of the kind of ``loss_curve_``, without the penalty.
        """
        response = self.net.predict(w, self.X)
        xp = namespace_of(response)
        if not bool(xp.all(xp.isfinite(response))):
            return float("nan"), float("nan")
        each = reported_loss(self.net.output, self.targets, response)
        if self.weights is None:
            loss = to_float(xp.mean(each))
        else:
            loss = to_float(self.weights @ each) / to_float(xp.sum(self.weights))
        return (-loss if self.metric is None else self.metric(w, response)), loss


def reported_loss(output: str, targets: Any, response: Any) -> Any:
    """Loss of each sample from the mean response, as scikit-learn reports it."""
    xp = namespace_of(response)
    if output == "identity":
        return output_loss(output, targets, response, 0.0) / targets.shape[1]
    floor = float(xp.finfo(response.dtype).eps)
    if output == "exp":
        return output_loss(output, targets, xp.log(xp.clip(response, floor, None)), 0.0)
    p = xp.clip(response, floor, 1 - floor)
    others = (1 - targets) * xp.log(1 - p) if output == "logistic" else 0.0
    return -xp.sum(targets * xp.log(p) + others, axis=1)
