r"""K-FAC and EKFAC: natural gradients with a Fisher matrix of Kronecker products.

Letters: V the gradient of a layer's matrix (an intercept its last row), A and G the two factors of
its Fisher matrix, :math:`\lambda` the damping, :math:`\gamma` that of the factors, :math:`\pi` how
it is shared, :math:`\Delta` the preconditioned step, :math:`\delta` the step taken.
"""

from __future__ import annotations

from typing import ClassVar

from skopt_dl.linops.kronecker import DenseSide, EigenSide
from skopt_dl.solvers.stochastic.averaging import Average
from skopt_dl.solvers.stochastic.kronecker import EigenFactored, Factored, KroneckerSolver


class DenseKFAC(KroneckerSolver):
    """Factors with all their eigenvectors."""

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        damping: float | str = "auto",
        decay: float = 0.95,
        refresh: int = 20,
        fisher: str = "sampled",
        batch_size: int | str = "auto",
        shuffle: bool = True,
        average: str | Average | None = "auto",
    ) -> None:
        self.learning_rate = learning_rate
        self.damping, self.decay, self.refresh = damping, decay, refresh
        self.fisher = fisher
        self.batch_size, self.shuffle = batch_size, shuffle
        self.average = average


class KFAC(DenseKFAC):
    """K-FAC: the natural gradient with a Fisher matrix of Kronecker products, layer by layer.

    .. math::

        \\Delta = -(A + \\pi\\gamma I)^{-1} V (G + \\tfrac\\gamma\\pi I)^{-1}, \\qquad
        \\pi^2 = \\frac{\\operatorname{tr} A / d_A}{\\operatorname{tr} G / d_G}, \\qquad
        \\delta = \\alpha \\Delta + \\mu \\delta_{\\text{last}}

    with A and G running means over batches, of the layer's inputs and of the derivatives at targets
    drawn from the model. :math:`\\alpha` and :math:`\\mu` minimise the batch's quadratic model with
    the exact Fisher matrix and the damping :math:`\\lambda`.

    Needs gradients on batches of samples, Kronecker factors of the Fisher matrix and a smooth
    objective.

    Parameters
    ----------
    learning_rate : float or "auto"
        "auto" finds :math:`\\alpha` and :math:`\\mu` from the quadratic model; a number is
        :math:`\\alpha`, with no momentum and :math:`\\lambda` as it is.
    damping : float or "auto"
        :math:`\\lambda` at the start; "auto" is 1, and 150 (the paper's) from 10 000 samples on. It
        shrinks or grows with what comes of what the model promises.
    decay : float
        Decay of the running means for each update, in [0, 1); they are plain means at first, and
        take in every other batch.
    refresh : int
        Updates between two inversions of the factors, at least 1.
    fisher : {"sampled", "exact"}
        Targets drawn from the model for an eighth of the batch, 32 samples at least; or the exact
        expectation over them for all of it, at a pass back an output.
    batch_size, shuffle
        As for `SGD`.
    average : {"auto", "polyak", "ema", "swa"} or Average, optional
        Average of the iterates that is the answer; "auto" is ``EMA(decay=0.9)`` where
        ``learning_rate`` is "auto": steps of a batch's own model do not shrink by themselves.

    Notes
    -----
    The damping is judged every 5 updates, :math:`\\gamma` compared with a larger and a smaller one
    every 20; at the start it is :math:`\\sqrt{\\lambda + \\text{ridge}}`. :math:`\\pi` is that of
    the last inversion.

    A linear model is a network of one layer, and of a squared error :math:`A \\otimes G` is its
    Hessian. Where its batches are parts of the samples and the rate is automatic, steps are parts
    of :math:`\\delta` that fall as one over the root of the epochs, with :math:`\\lambda` as it is.

    References
    ----------
    J. Martens, R. Grosse, "Optimizing neural networks with Kronecker-factored approximate
    curvature", ICML 2015.
    """

    def _metric(self) -> Factored:
        return Factored(DenseSide(), DenseSide())


class EKFAC(DenseKFAC):
    """EKFAC: K-FAC's eigenvectors with the true second moments along them.

    .. math::

        \\Delta = -U_A \\Big(\\frac{U_A' V U_G}{S + \\gamma^2}\\Big) U_G', \\qquad
        S = E\\big[(U_A' a)^2 \\,(U_G' d)^{2\\prime}\\big]

    S is a running mean over all batches that is renewed with the eigenvectors.

    Needs gradients on batches of samples, Kronecker factors of the Fisher matrix and a smooth
    objective.

    Parameters
    ----------
    learning_rate, damping, decay, refresh, fisher, batch_size, shuffle, average
        As for `KFAC`.

    References
    ----------
    T. George, C. Laurent, X. Bouthillier, N. Ballas, P. Vincent, "Fast approximate natural gradient
    descent in a Kronecker-factored eigenbasis", NeurIPS 2018.
    """

    # The second moments count at once.
    learn_every: ClassVar[int] = 1

    def _metric(self) -> Factored:
        return EigenFactored(EigenSide(), EigenSide())
