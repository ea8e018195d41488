r"""Warm starts of a network that are learnt: layer by layer, from the inputs, from hints, from a
teacher.

All of them are the same step: some layers, with a head that is thrown away, are trained by a solver
of the engine to predict something, and keep what they have learnt. What is predicted makes the
method. A pretraining is an object that an estimator takes as its ``initialisation``.

Letters: H the outputs of the layers that are done, :math:`W_k, b_k` the layer at work, T what it is
to predict.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

from skopt_dl.dispatch import resolve
from skopt_dl.engine import Stopping, run
from skopt_dl.engine.settings import Settings
from skopt_dl.kernels.namespace import device_of, namespace_of, to_float
from skopt_dl.neural_network.initialisation import initial_pieces, initialisation_of
from skopt_dl.neural_network.network import Network
from skopt_dl.neural_network.problem import NetworkProblem


@dataclass
class WarmStart:
    """A start and how it was reached.

    Attributes
    ----------
    w : array of shape (size,)
        Flat parameters of the whole network.
    losses : list of float
        The objective at the end of each stage.
    """

    w: Any
    losses: list[float] = field(default_factory=list)


class Pretraining(Settings, ABC):
    """Learns a start of a network from its training problem.

    Parameters
    ----------
    solver : str or Solver
        Trains each stage.
    max_iter : int
        Iterations or epochs of each stage.
    initialisation : str or Initialisation
        Draws what a stage starts from.
    """

    solver: Any
    max_iter: int
    initialisation: Any

    @abstractmethod
    def start(self, problem: NetworkProblem, rng: Any) -> WarmStart:
        """A start of ``problem``'s network; the problem is only read.

        Parameters
        ----------
        problem : NetworkProblem
            Data, targets and layout.
        rng : Generator or RandomState
            Source of the stages' starts and batches.
        """

    def _train(
        self,
        problem: NetworkProblem,
        sizes: list[int],
        activations: list[Any],
        output: str,
        X: Any,
        targets: Any,
        rng: Any,
        start: Any = None,
    ) -> tuple[list[Any], list[Any], float]:
        """Coefficients, intercepts and final objective of a network trained on other data."""
        net = Network(sizes, activations, output)
        w = packed(initial_pieces(net, self.initialisation, rng), targets)
        stage = NetworkProblem(
            net,
            X,
            targets,
            alpha=problem.alpha,
            sample_weight=problem.sample_weight,
            initial=w if start is None else start,
            certified=False,
            description=f"a stage of {self!r}",
        )
        solver, reason = resolve(self.solver, stage)
        stopping = Stopping(tol=None, max_iter=self.max_iter)
        result = run(stage, solver, stopping=stopping, rng=rng, reason=reason)
        coefs, intercepts = net.unpack(result.w)
        return coefs, intercepts, to_float(stage.value(result.w))


class GreedySupervised(Pretraining):
    """Each layer learns, with a new head, to predict the targets from the layers below it.

    Layer k starts as the identity, with the head of the stage before, where that changes nothing
    (as many units as below, an activation that leaves the outputs below as they are, such as ReLU
    on ReLU): the losses of the stages then go on falling.

    Parameters
    ----------
    solver : str or Solver
        Trains each stage.
    max_iter : int
        Iterations or epochs of each stage.
    initialisation : str or Initialisation
        Draws what a stage starts from.

    References
    ----------
    Y. Bengio, P. Lamblin, D. Popovici, H. Larochelle, "Greedy layer-wise training of deep
    networks", NeurIPS 2007.
    """

    def __init__(
        self, solver: Any = "adam", *, max_iter: int = 50, initialisation: Any = "he"
    ) -> None:
        self.solver, self.max_iter, self.initialisation = solver, max_iter, initialisation

    def start(self, problem: NetworkProblem, rng: Any) -> WarmStart:
        net, xp, H = problem.net, problem.xp, problem.X
        coefs: list[Any] = []
        intercepts: list[Any] = []
        losses: list[float] = []
        head: Any = None
        for k, activation in enumerate(net.activations):
            rows, columns = net.shapes[k]
            start = None
            if head is not None and rows == columns and _keeps(activation, H):
                eye = xp.eye(rows, dtype=problem.dtype, device=problem.device)
                start = packed([eye, head[0], 0 * intercepts[-1], head[1]], problem.y)
            W, b, loss = self._train(
                problem,
                [rows, columns, net.sizes[-1]],
                [activation],
                net.output,
                H,
                problem.y,
                rng,
                start,
            )
            coefs.append(W[0])
            intercepts.append(b[0])
            head = W[1], b[1]
            losses.append(loss)
            H = activation.value(H @ W[0] + b[0])
        if head is None:
            return WarmStart(problem.start())
        w = packed([*coefs, head[0], *intercepts, head[1]], problem.y)
        return WarmStart(w, losses)


class GreedyAutoencoder(Pretraining):
    """Each layer learns to give back, through a linear head, what the layers below it put out.

    The targets are not used: the start comes from the inputs alone. The last layer is drawn.

    Parameters
    ----------
    solver : str or Solver
        Trains each stage.
    corruption : float
        Share of the inputs of a stage that are set to zero, in [0, 1), while it still has to give
        back all of them: a denoising autoencoder, whose units cannot be copies.
    max_iter : int
        Iterations or epochs of each stage.
    initialisation : str or Initialisation
        Draws what a stage starts from.

    References
    ----------
    G. Hinton, R. Salakhutdinov, "Reducing the dimensionality of data with neural networks",
    Science 313 (2006); P. Vincent, H. Larochelle, Y. Bengio, P.-A. Manzagol, "Extracting and
    composing robust features with denoising autoencoders", ICML 2008.
    """

    def __init__(
        self,
        solver: Any = "adam",
        *,
        corruption: float = 0.0,
        max_iter: int = 50,
        initialisation: Any = "he",
    ) -> None:
        self.solver, self.corruption = solver, corruption
        self.max_iter, self.initialisation = max_iter, initialisation

    def start(self, problem: NetworkProblem, rng: Any) -> WarmStart:
        if not 0 <= self.corruption < 1:
            raise ValueError(
                f"GreedyAutoencoder: corruption={self.corruption!r}, but it must be >= 0 and < 1"
            )
        net, xp, H = problem.net, problem.xp, dense(problem.X)
        w = packed(initial_pieces(net, self.initialisation, rng), problem.y)
        coefs, intercepts = (list(pieces) for pieces in net.unpack(w))
        losses = []
        for k, activation in enumerate(net.activations):
            rows, columns = net.shapes[k]
            seen = H
            if self.corruption > 0:
                kept = rng.uniform(size=H.shape) >= self.corruption
                seen = H * xp.asarray(kept, dtype=problem.dtype, device=problem.device)
            W, b, loss = self._train(
                problem, [rows, columns, rows], [activation], "identity", seen, H, rng
            )
            coefs[k], intercepts[k] = W[0], b[0]
            losses.append(loss)
            H = activation.value(H @ W[0] + b[0])
        return WarmStart(packed([*coefs, *intercepts], problem.y), losses)


class Hints(Pretraining):
    """The layers up to a middle one learn first what a good middle would know.

    A linear head on hidden layer ``layer`` predicts the hints, by least squares; the layers below
    keep what they learnt, the others are drawn. The outputs of a wider teacher's middle layer as
    hints make a FitNet (`middle`).

    Parameters
    ----------
    hints : array of shape (n_samples, n_hints)
        What the middle layer should know of each training sample.
    layer : int
        The hidden layer that predicts them, counted from 1.
    solver : str or Solver
        Trains the layers.
    max_iter : int
        Iterations or epochs.
    initialisation : str or Initialisation
        Draws what the layers start from.

    References
    ----------
    Ç. Gülçehre, Y. Bengio, "Knowledge matters: importance of prior information for optimization",
    JMLR 17 (2016).
    """

    def __init__(
        self,
        hints: Any,
        *,
        layer: int = 1,
        solver: Any = "adam",
        max_iter: int = 50,
        initialisation: Any = "he",
    ) -> None:
        self.hints, self.layer, self.solver = hints, layer, solver
        self.max_iter, self.initialisation = max_iter, initialisation

    def start(self, problem: NetworkProblem, rng: Any) -> WarmStart:
        return self._towards(self.hints, self.layer, problem, rng)

    def _towards(self, hints: Any, layer: int, problem: NetworkProblem, rng: Any) -> WarmStart:
        net, xp = problem.net, problem.xp
        name = type(self).__name__
        if not 1 <= layer <= len(net.activations):
            raise ValueError(
                f"{name}: layer={layer!r}, but the network has {len(net.activations)} hidden layers"
            )
        targets = xp.asarray(hints, dtype=problem.dtype, device=problem.device)
        targets = targets[:, None] if targets.ndim == 1 else targets
        if targets.shape[0] != problem.n_samples:
            raise ValueError(
                f"{name}: there are hints for {targets.shape[0]} samples, but the network is "
                f"trained on {problem.n_samples}"
            )
        w = packed(initial_pieces(net, self.initialisation, rng), problem.y)
        coefs, intercepts = (list(pieces) for pieces in net.unpack(w))
        sizes = [*net.sizes[: layer + 1], targets.shape[1]]
        W, b, loss = self._train(
            problem, sizes, net.activations[:layer], "identity", problem.X, targets, rng
        )
        coefs[:layer], intercepts[:layer] = W[:layer], b[:layer]
        return WarmStart(packed([*coefs, *intercepts], problem.y), [loss])


def middle(model: Any, X: Any, layer: int) -> Any:
    """Outputs of hidden layer ``layer`` (from 1) of a fitted network for the rows ``X``.

    Parameters
    ----------
    model : MLPClassifier or MLPRegressor
        The teacher.
    X : array of shape (n, p)
        What it was fitted to, or more of that kind.
    layer : int
        Counted from 1.

    Returns
    -------
    array of shape (n, units)
        Hints for a student of the same data: ``Hints(middle(teacher, X, 2), layer=3)`` is the
        first stage of a FitNet (A. Romero and others, "FitNets: hints for thin deep nets", ICLR
        2015); its second stage trains the student on ``teacher.predict_proba(X)`` or on the labels.

    Raises
    ------
    ValueError
        If there is no such layer.
    """
    count = len(model.coefs_) - 1
    if not 1 <= layer <= count:
        raise ValueError(f"middle: layer={layer!r}, but the network has {count} hidden layers")
    shapes = [model.coefs_[0].shape[0], *(c.shape[1] for c in model.coefs_)]
    net = Network(shapes, model.activation, "identity")
    H = X
    for k in range(layer):
        H = net.activations[k].value(H @ model.coefs_[k] + model.intercepts_[k])
    return H


def check_start(given: Any) -> None:
    """Raise unless ``given`` can be the ``initialisation`` of an estimator.

    Raises
    ------
    ValueError
        With the known names.
    """
    if given is not None and not isinstance(given, Pretraining):
        initialisation_of(given)


def drawn(given: Any, net: Network, rng: Any) -> list[Any]:
    """The random pieces that a network starts from; ``None`` draws as scikit-learn does."""
    if given is None or isinstance(given, Pretraining):
        return net.initial(rng)
    return initial_pieces(net, given, rng)


def learn(given: Any, problem: NetworkProblem, rng: Any) -> None:
    """Let a `Pretraining` replace the start of ``problem``; anything else has been drawn."""
    if isinstance(given, Pretraining):
        w = given.start(problem, rng).w
        # Stages learn coefficients and intercepts.
        problem.initial = packed([w, *problem.net.initial_shares()], w)


def packed(pieces: list[Any], like: Any) -> Any:
    """One flat array of ``like``'s dtype, beside it."""
    xp = namespace_of(like)
    place = {"dtype": like.dtype, "device": device_of(like)}
    return xp.concat([xp.reshape(xp.asarray(piece, **place), (-1,)) for piece in pieces])


def dense(X: Any) -> Any:
    """``X`` as an array: an autoencoder gives back every entry."""
    return X.toarray() if hasattr(X, "toarray") else X


def _keeps(activation: Any, H: Any) -> bool:
    """Whether the activation leaves these outputs as they are."""
    xp = namespace_of(H)
    return bool(xp.all(activation.value(xp.asarray(H, copy=True)) == H))
