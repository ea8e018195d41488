r"""K-FAC with cheaper factors, and with a memory of past models.

Letters: V the gradient of a layer's matrix (an intercept its last row), A and G the two factors of
its Fisher matrix, :math:`\lambda` the damping, :math:`\gamma` that of the factors, :math:`\pi` how
it is shared, :math:`\Delta` the preconditioned step, :math:`\delta` the step taken.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from skopt_dl.linops.kronecker import (
    BrandRandomizedSide,
    BrandSide,
    DenseSide,
    RandomizedSide,
    SketchedSide,
)
from skopt_dl.solvers.stochastic.averaging import Average
from skopt_dl.solvers.stochastic.kronecker import Factored, KroneckerSolver


class SketchedKFAC(KroneckerSolver):
    """Factors that are decomposed at random every so often. A subclass names their sides."""

    side: ClassVar[type[SketchedSide]]

    def __init__(
        self,
        *,
        rank: int = 220,
        oversampling: int = 10,
        power: int = 3,
        error: float = 0.033,
        learning_rate: float | str = "auto",
        damping: float | str = "auto",
        decay: float = 0.95,
        refresh: int = 20,
        fisher: str = "sampled",
        batch_size: int | str = "auto",
        shuffle: bool = True,
        average: str | Average | None = "auto",
    ) -> None:
        self.rank, self.oversampling, self.power = rank, oversampling, power
        self.error = error
        self.learning_rate = learning_rate
        self.damping, self.decay, self.refresh = damping, decay, refresh
        self.fisher = fisher
        self.batch_size, self.shuffle = batch_size, shuffle
        self.average = average

    def _metric(self) -> Factored:
        A, G = (self.side(self.rank, self.oversampling, self.power, self.error) for _ in "AG")
        return Factored(A, G)


class RSKFAC(SketchedKFAC):
    """K-FAC with randomised low-rank inverses of its factors (RS-KFAC).

    .. math:: (A + \\gamma I)^{-1} \\approx U \\big((D + \\gamma)^{-1} - \\gamma^{-1}\\big) U'
              + \\gamma^{-1} I

    with the ``rank`` largest eigenvectors by a randomised range finder: an inversion costs the
    square of a layer's width, not its cube.

    Needs gradients on batches of samples, Kronecker factors of the Fisher matrix and a smooth
    objective.

    Parameters
    ----------
    rank : int
        Eigenvectors kept of each factor at most, at least 1. With the width of the layers and
        ``error=0`` it is `KFAC`.
    oversampling, power : int
        Random directions beyond the rank, and products that sharpen them.
    error : float
        Eigenvectors without which the damped inverse is off by less than this part are not looked
        for, by what the last decomposition found; in [0, 1).
    learning_rate, damping, decay, refresh, fisher, batch_size, shuffle, average
        As for `KFAC`.

    References
    ----------
    C. Puiu, "Randomized K-FACs: speeding up K-FAC with randomized numerical linear algebra", IDEAL
    2022.
    """

    side = RandomizedSide


class BKFAC(KroneckerSolver):
    """K-FAC whose factors are known by their largest eigenvectors alone, updated online (B-KFAC).

    .. math:: U D U' \\leftarrow \\big[\\rho\\, U D U' + (1 - \\rho) X'X\\big]_r

    Each batch updates the eigenvectors exactly (Brand) before the smallest are cut off: no factor
    is formed, and a step costs a layer's width times the square of rank plus batch.

    Needs gradients on batches of samples, Kronecker factors of the Fisher matrix and a smooth
    objective.

    Parameters
    ----------
    rank : int
        Eigenvectors kept of each factor, at least 1.
    learning_rate, damping, decay, fisher, batch_size, shuffle, average
        As for `KFAC`.

    Notes
    -----
    As long as rank covers the width of a layer nothing is cut off and the factors are `KFAC`'s,
    fresh at every update.

    References
    ----------
    C. Puiu, "Brand new K-FACs: speeding up K-FAC with online decomposition updates" (2022).
    """

    # There are no inverses to keep: the eigenvectors are those of the last update.
    refresh = 1

    def __init__(
        self,
        *,
        rank: int = 220,
        learning_rate: float | str = "auto",
        damping: float | str = "auto",
        decay: float = 0.95,
        fisher: str = "sampled",
        batch_size: int | str = "auto",
        shuffle: bool = True,
        average: str | Average | None = "auto",
    ) -> None:
        self.rank = rank
        self.learning_rate = learning_rate
        self.damping, self.decay = damping, decay
        self.fisher = fisher
        self.batch_size, self.shuffle = batch_size, shuffle
        self.average = average

    def _metric(self) -> Factored:
        return Factored(BrandSide(self.rank), BrandSide(self.rank))


class BRKFAC(SketchedKFAC):
    """K-FAC with eigenvectors that are updated online and now and then found anew (B-R-KFAC).

    .. math:: U D U' \\leftarrow \\big[\\rho\\, U D U' + (1 - \\rho) X'X\\big]_r
              \\quad\\text{and, every so often,}\\quad U D U' \\leftarrow [A]_r

    with the factor :math:`A \\leftarrow \\rho A + (1 - \\rho) X'X` kept beside them: as fresh as
    `BKFAC` at every update, and without the error that it gathers from what is cut off.

    Needs gradients on batches of samples, Kronecker factors of the Fisher matrix and a smooth
    objective.

    Parameters
    ----------
    rank, oversampling, power, error
        As for `RSKFAC`.
    refresh : int
        Updates between two decompositions of the whole factor, at least 1.
    learning_rate, damping, decay, fisher, batch_size, shuffle, average
        As for `KFAC`.

    Notes
    -----
    With ``refresh=1`` this is `RSKFAC` that inverts at every update.

    References
    ----------
    C. Puiu, "Brand new K-FACs: speeding up K-FAC with online decomposition updates" (2022).
    """

    side = BrandRandomizedSide


class KLDWRM(KroneckerSolver):
    """K-FAC that stays near all its past models, not the present one alone (KLD-WRM).

    .. math::

        s = -\\eta\\,(\\bar F + \\lambda I)^{-1}\\Big(g + \\frac{m}{\\eta}\\Big), \\qquad
        m \\leftarrow \\rho\\,(m + \\bar F s)

    where :math:`\\bar F` is the running mean :math:`\\rho \\bar F + (1 - \\rho) F_k` and m the pull
    of the models of the past, each towards its own point: with the weights :math:`q_j` of that
    mean, the gradient of :math:`\\tfrac12 \\sum_j q_j (w - w_j)' F_j (w - w_j)`, the quadratic form
    of their Kullback-Leibler divergences.

    Needs gradients on batches of samples, Kronecker factors of the Fisher matrix and a smooth
    objective.

    Parameters
    ----------
    learning_rate : float or "auto"
        :math:`\\eta`; "auto" is 0.3.
    wake : float
        :math:`\\rho`, how long a past model counts, in [0, 1). With 0 it is `KFAC` with that
        learning rate and no decay.
    damping, refresh, fisher, batch_size, shuffle
        As for `KFAC`; the damping stays as it is.
    average
        As for `SGD`.

    References
    ----------
    C. Puiu, "Rethinking exponential averaging of the Fisher", ECML PKDD 2022.
    """

    own_rate: ClassVar[float] = 0.3
    # Past models hold back steps that a noisy batch would make.
    decreases: ClassVar[Literal["never", "noise", "always"]] = "never"
    # The past counts by its steps.
    learn_every: ClassVar[int] = 1

    def __init__(
        self,
        *,
        learning_rate: float | str = "auto",
        wake: float = 0.5,
        damping: float | str = "auto",
        refresh: int = 20,
        fisher: str = "sampled",
        batch_size: int | str = "auto",
        shuffle: bool = True,
        average: str | Average | None = None,
    ) -> None:
        self.learning_rate, self.wake = learning_rate, wake
        self.damping, self.refresh = damping, refresh
        self.fisher = fisher
        self.batch_size, self.shuffle = batch_size, shuffle
        self.average = average

    def _metric(self) -> Factored:
        return Factored(DenseSide(), DenseSide())
