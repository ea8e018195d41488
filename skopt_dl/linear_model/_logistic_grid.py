"""The choices of LogisticRegressionCV, which of them is best, and how they are reported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Self

import numpy as np

from skopt_dl._sklearn.parameters import check_choice


@dataclass(frozen=True)
class Grid:
    """The choices of ``C`` and ``l1_ratio``.

    Attributes
    ----------
    Cs : array of shape (n_cs,)
    terms : str
        "l1", "l2" or "elasticnet".
    ratios : tuple of float
        What is solved with.
    named_ratios : array
        What is reported: the user's, ``[None]`` where there are none.
    """

    Cs: np.ndarray
    terms: str
    ratios: tuple[float, ...]
    named_ratios: np.ndarray

    @classmethod
    def asked_by(cls, owner: Any) -> Self:
        """The choices of the parameters ``Cs``, ``l1_ratios`` and ``penalty`` of an estimator.

        Raises
        ------
        ValueError
            If ``Cs`` is neither a count nor positive numbers, or ``l1_ratios`` has a number outside
            0 to 1, or ``penalty="elasticnet"`` stands without ``l1_ratios``.
        """
        ratios = owner.l1_ratios
        if isinstance(ratios, str):
            check_choice(owner, "l1_ratios", ("warn",))
            ratios = None
        if owner.penalty in ("elasticnet", "deprecated"):
            _check_ratios(owner, ratios)
        return cls.of(_inverse_strengths(owner), ratios, owner.penalty)

    @classmethod
    def of(cls, Cs: np.ndarray, l1_ratios: Any, penalty: str) -> Self:
        """``penalty`` decides where it is not "deprecated", else the ratios do."""
        named = np.asarray([None] if l1_ratios is None else l1_ratios)
        given = (0.0,) if l1_ratios is None else tuple(float(r) for r in named)
        terms = penalty
        if penalty == "deprecated":
            same = set(given)
            terms = {frozenset({0.0}): "l2", frozenset({1.0}): "l1"}.get(
                frozenset(same), "elasticnet"
            )
        fixed = {"l1": 1.0, "l2": 0.0}.get(terms)
        return cls(Cs, terms, given if fixed is None else (fixed,) * len(given), named)

    @property
    def has_ratios(self) -> bool:
        """Whether the user gave ratios, so that attributes have an axis for them."""
        return self.named_ratios[0] is not None

    def attributes(
        self,
        classes: np.ndarray,
        C: float,
        ratio: Any,
        scores: np.ndarray,
        coefs: np.ndarray,
        n_iter: np.ndarray,
        legacy: bool,
    ) -> Iterator[tuple[str, Any]]:
        """Fitted attributes from arrays with the axes fold, ratio, C (class, feature).

        The legacy forms are those of scikit-learn before 1.10: numbers repeated for each class,
        dicts from labels, and the axes fold, C, ratio.
        """
        if not legacy:
            yield "C_", float(C)
            # A penalty without choice reports what it is.
            yield "l1_ratio_", float(self.ratios[0] if ratio is None else ratio)
            yield "scores_", scores
            yield "coefs_paths_", coefs
            yield "n_iter_", n_iter
            return
        labels = classes[1:] if len(classes) == 2 else classes
        yield "C_", np.asarray([C] * len(labels))
        yield "l1_ratio_", np.asarray([ratio] * len(labels))
        by_C = self._legacy(scores)
        yield "scores_", dict.fromkeys(labels, by_C)
        paths = self._legacy(coefs)
        yield "coefs_paths_", {label: paths[..., k, :] for k, label in enumerate(labels)}
        yield "n_iter_", self._legacy(n_iter)[None, ...]

    def _legacy(self, a: np.ndarray) -> np.ndarray:
        """``a`` with its ratios after its Cs, or without them."""
        a = np.moveaxis(a, 1, 2)
        return a if self.has_ratios else a[:, :, 0, ...]


def _inverse_strengths(owner: Any) -> np.ndarray:
    """The values of ``C``: given, or a number of them from 1e-4 to 1e4."""
    Cs = owner.Cs
    if isinstance(Cs, Integral) and not isinstance(Cs, bool) and int(Cs) >= 1:
        return np.logspace(-4, 4, int(Cs))
    numbers = np.asarray(Cs)
    if (
        numbers.ndim == 1
        and numbers.size > 0
        and numbers.dtype.kind in "fiu"
        and np.all(numbers > 0)
    ):
        return numbers.astype(np.float64)
    raise ValueError(
        f"{type(owner).__name__}: the parameter Cs={Cs!r} is not valid; it must be an integer >= 1 "
        "or hold numbers > 0"
    )


def _check_ratios(owner: Any, ratios: Any) -> None:
    """That ``ratios`` are shares, and are there where the penalty needs them."""
    if ratios is None and owner.penalty != "elasticnet":
        return
    each = [] if ratios is None else list(np.atleast_1d(np.asarray(ratios, dtype=object)))
    if not each or not all(isinstance(r, Real) and 0 <= float(r) <= 1 for r in each):
        raise ValueError(
            "l1_ratios must be an array-like of numbers between 0 and 1; got "
            f"(l1_ratios={owner.l1_ratios!r})"
        )


def best_of_means(
    grid: Grid, scores: np.ndarray, coefs: np.ndarray
) -> tuple[float, float, Any, np.ndarray]:
    """``C``, ratio, the ratio as it is reported, and mean coefficients, of the best mean score."""
    # The first of equally good ones, counted by C, then by ratio.
    means = scores.sum(axis=0).T
    at_C, at_ratio = np.unravel_index(np.argmax(means), means.shape)
    start = coefs[:, at_ratio, at_C].mean(axis=0)
    return (
        float(grid.Cs[at_C]),
        float(grid.ratios[at_ratio]),
        grid.named_ratios[at_ratio],
        start,
    )


def best_of_folds(
    grid: Grid, scores: np.ndarray, coefs: np.ndarray
) -> tuple[float, float, np.ndarray]:
    """Means over the folds of each one's best ``C``, ratio and coefficients."""
    Cs, ratios, best = [], [], []
    for fold in range(scores.shape[0]):
        table = scores[fold].T
        at_C, at_ratio = np.unravel_index(np.argmax(table), table.shape)
        Cs.append(grid.Cs[at_C])
        ratios.append(grid.ratios[at_ratio])
        best.append(coefs[fold, at_ratio, at_C])
    ratio = float(np.mean(ratios)) if grid.terms == "elasticnet" else 0.0
    return float(np.mean(Cs)), ratio, np.mean(best, axis=0)
