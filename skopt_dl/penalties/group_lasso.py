r"""The group lasso: groups of coefficients that are zero or nonzero together.

.. math:: \Omega(w) = \alpha \sum_g c_g \|w_g\|_2

Source: M. Yuan, Y. Lin, "Model selection and estimation in regression with grouped variables",
JRSS B 68 (2006).
"""

from __future__ import annotations

from typing import Any, ClassVar

from skopt_dl.kernels import kernels_of
from skopt_dl.kernels.namespace import device_of, namespace_of
from skopt_dl.penalties.base import Penalty, check_strength


class GroupLasso(Penalty):
    """Euclidean norms of groups of coefficients.

    Parameters
    ----------
    groups : list of lists of int, array of shape (n_features,), or None
        The features of each group, every feature in one; or a label for each feature, equal within
        a group. ``None``: every coefficient by itself. With several outputs a group has the
        coefficients of its features for all of them.
    alpha : float
        Strength.
    weights : array of shape (n_groups,), optional
        The :math:`c_g`, in the order of the groups (of the sorted labels); 0 leaves a group
        unpenalised. Default: the square root of the number of coefficients in the group.
    """

    label: ClassVar[str] = "the group-lasso penalty"
    strengths: ClassVar[tuple[str, ...]] = ("alpha",)

    def __init__(self, groups: Any = None, alpha: float = 1.0, weights: Any = None) -> None:
        self.groups, self.alpha, self.weights = groups, alpha, weights

    def check(self, size: int, outputs: int = 1) -> None:
        if not self.alpha >= 0:
            raise ValueError(f"GroupLasso: alpha={self.alpha!r}, but it must be >= 0")
        groups = self._groups(size, outputs)
        if self.weights is None:
            return
        if len(self.weights) != len(groups):
            raise ValueError(
                f"GroupLasso: weights has {len(self.weights)} entries, but there are {len(groups)} "
                "groups; give one entry per group"
            )
        check_strength(self, "weights", len(groups))

    def _groups(self, size: int, outputs: int | None = None) -> list[list[int]]:
        """The coefficients of each group; how many outputs there are follows from the size."""
        if self.groups is None:
            return [[j] for j in range(size)]
        listed = [g.tolist() if hasattr(g, "tolist") else g for g in self.groups]
        if any(isinstance(g, (list, tuple, range)) for g in listed):
            features = [[int(j) for j in g] for g in listed]
        else:
            members: dict[Any, list[int]] = {}
            for j, name in enumerate(listed):
                members.setdefault(name, []).append(j)
            features = [members[name] for name in sorted(members)]
        flat = sorted(j for g in features for j in g)
        n = len(flat)
        outputs = size // max(n, 1) if outputs is None else outputs
        if flat != list(range(size // outputs)) or not all(features):
            raise ValueError(
                f"GroupLasso: groups have {n} entries, but there are {size // outputs} features; "
                "each feature must be in one group, and no group may be empty"
            )
        return [[j * outputs + k for j in g for k in range(outputs)] for g in features]

    def _layout(self, like: Any) -> tuple[Any, Any, Any, Any]:
        """``(members, present, group, weights)``: the groups as rows of one rectangle of indices,
        a mask of its true entries, the group of each coefficient, and the weights."""
        place = (like.shape[0], type(like), like.dtype, device_of(like))
        kept: Any = getattr(self, "_kept", None)
        # Settings are compared by identity: they may be arrays.
        fresh = kept is not None and kept[1] is self.groups and kept[2] is self.weights
        if not fresh or kept[0] != place:
            self._kept = kept = (place, self.groups, self.weights, self._arrange(like))
        return kept[3]

    def _arrange(self, like: Any) -> tuple[Any, Any, Any, Any]:
        xp, device = namespace_of(like), device_of(like)
        groups = self._groups(like.shape[0])
        longest = max(map(len, groups))
        rows = [g + [0] * (longest - len(g)) for g in groups]
        present = [[1.0] * len(g) + [0.0] * (longest - len(g)) for g in groups]
        group = [0] * like.shape[0]
        for number, members in enumerate(groups):
            for j in members:
                group[j] = number
        weights = [len(g) ** 0.5 for g in groups] if self.weights is None else self.weights
        return (
            xp.asarray(rows, dtype=xp.int64, device=device),
            xp.asarray(present, dtype=like.dtype, device=device),
            xp.asarray(group, dtype=xp.int64, device=device),
            xp.asarray(weights, dtype=like.dtype, device=device),
        )

    def _norms(self, w: Any) -> Any:
        """Euclidean norm of each group."""
        xp, (members, present, _, _) = namespace_of(w), self._layout(w)
        entries = xp.reshape(xp.take(w, xp.reshape(members, (-1,))), members.shape)
        return xp.linalg.vector_norm(entries * present, axis=1)

    def _each(self, per_group: Any, w: Any) -> Any:
        """A number per group as a number per coefficient."""
        return namespace_of(w).take(per_group, self._layout(w)[2])

    def _strengths(self, w: Any) -> Any:
        return self.alpha * self._layout(w)[3]

    def value(self, w: Any) -> Any:
        return namespace_of(w).sum(self._strengths(w) * self._norms(w))

    def prox(self, v: Any, step: Any) -> Any:
        members, present, group, _ = self._layout(v)
        return kernels_of(v).prox_groups(v, step, self._strengths(v), members, present, group)

    def blocks(self, size: int) -> list[list[int]]:
        """The coefficients of each group."""
        return self._groups(size)

    def block_strengths(self, size: int) -> list[float]:
        """The strength of each group's norm, for kernels that know `prox_block` by it."""
        return [float(self._strength(b, len(g))) for b, g in enumerate(self._groups(size))]

    def _strength(self, b: int, length: int) -> Any:
        return self.alpha * (length**0.5 if self.weights is None else self.weights[b])

    def prox_block(self, v: Any, step: Any, b: int) -> Any:
        """The prox of group ``b`` alone."""
        norm = namespace_of(v).linalg.vector_norm(v)
        strength = self._strength(b, v.shape[0])
        # An infinite step asks where the penalty itself is smallest.
        threshold = step * strength if strength > 0 else 0.0
        return (1 - threshold / norm) * v if norm > threshold else 0 * v

    def conjugate(self, v: Any) -> Any:
        """0 where no group's norm exceeds its strength, infinite elsewhere."""
        xp, strengths = namespace_of(v), self._strengths(v)
        # A point scaled to the border by feasible_scale overshoots by rounding only.
        tiny = 64 * xp.finfo(v.dtype).eps
        inside = xp.all(self._norms(v) <= (1 + tiny) * strengths)
        zero = xp.sum(xp.zeros_like(v))
        return xp.where(inside, zero, xp.full_like(zero, xp.inf))

    def feasible_scale(self, v: Any) -> Any:
        xp, norms, strengths = namespace_of(v), self._norms(v), self._strengths(v)
        excess = norms > strengths
        ones = xp.ones_like(norms)
        return xp.min(xp.where(excess, strengths / xp.where(excess, norms, ones), ones))

    def distance(self, w: Any, g: Any) -> Any:
        """The components of ``g`` plus the nearest subgradient."""
        xp, norms = namespace_of(w), self._norms(w)
        inside = self._each(norms, w) > 0
        safe = xp.where(norms > 0, norms, xp.ones_like(norms))
        smooth = g + w * self._each(self._strengths(w) / safe, w)
        return xp.abs(xp.where(inside, smooth, self.prox(g, 1.0)))
