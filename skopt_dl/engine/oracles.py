"""What a problem offers and what a solver needs: declared once, where it is implemented.

A problem's method becomes an oracle by the decorator `offers`. Whether *this instance* can answer
(its penalty may have no prox, say) is decided by ``lacks``, a function that returns the reason why
not. Error messages, ``solver="auto"``, the tables of the documentation and the test matrix all
read these declarations; there is no second list.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skopt_dl.engine.problem import Problem


class Oracle(StrEnum):
    """A question that may be asked of a problem. The value is the phrase used in messages."""

    GRAD = "a gradient of the whole objective"
    SUBGRADIENT = "a subgradient of the whole objective"
    SMOOTH_GRAD = "a gradient of the smooth part"
    LIPSCHITZ = "a Lipschitz bound of that gradient"
    PROX = "a prox of the penalty"
    LMO = "minimisers of linear functions over a constraint set"
    HVP = "Hessian-vector products"
    HESSIAN = "a Hessian matrix"
    HESSIAN_DIAGONAL = "the diagonal of the Hessian"
    GGN = "Gauss-Newton products"
    GGN_ROOT = "a square root of the Gauss-Newton matrix"
    COORDS = "columns of X with a coordinate prox"
    VIOLATIONS = "how far each coordinate is from its optimum"
    SCREENING = "columns of X that are zero at the optimum"
    WORKING_SET = "inner products of chosen columns of X"
    NEWTON_SYSTEM = "Newton systems of chosen columns of X"
    QUADRATIC_MODEL = "a weighted least-squares model of the loss, with a coordinate prox"
    LEAST_SQUARES = "a least-squares system with a ridge"
    MATRIX = "the matrix of the model as a dense array"
    GRAPH = "projections onto the graph of the linear map"
    SPLIT = "a prox of the loss in the predictions"
    SAMPLE_GRAD = "gradients on batches of samples"
    SAMPLE_VALUE = "values on batches of samples"
    SAMPLE_LOSSES = "the loss of each sample"
    TARGETS = "targets that can be replaced"
    SAMPLE_HVP = "Hessian products on batches of samples"
    SAMPLE_GGN = "Gauss-Newton products on batches of samples"
    SAMPLE_HESSIAN = "a Hessian matrix on batches of samples"
    KRONECKER = "Kronecker factors of the Fisher matrix"
    CURVATURE_SCORES = "how much each sample bends the objective"
    SAMPLE_CURVATURE = "diagonal curvatures on batches of samples"
    SAMPLE_SLOPES = "one slope per sample of a linear model"
    DUAL_COORDS = "dual variables of single samples"
    BOUNDS = "a smooth objective with bounds"
    REDUCED_SYSTEM = "a Gauss-Newton system of one block with the other eliminated"
    TANGENT = "tangent spaces of matrices of fixed rank"
    SPECTRAL_PROX = "shrinkage of the singular values of a low-rank plus sparse matrix"
    SPECTRAL_SPLIT = "a prox of the nuclear norm at a low-rank plus sparse matrix"
    POSTERIOR = "closed-form posteriors of blocks of parameters"
    CONDITIONAL_DRAW = "draws of a block of parameters given the others"
    LOCAL_EPOCHS = "epochs on parts of the samples, from one point"
    AGENTS = "gradients of parts of the samples, each at a point of its own"
    CONSENSUS = "proximal steps of parts of the samples, each for itself"
    BLOCK_SOLVE = "exact minimisation over a block of parameters"
    FACTOR_COORDS = "exact minimisation over one parameter of every row of a factor"
    MAJORISED_BLOCK = "minimisation of a bound over a block of parameters"
    FACTOR_GRAMS = "Gram matrices of the factors of a matrix"


class Trait(StrEnum):
    """A fact about a problem. The value is the phrase used in messages."""

    CONVEX = "a convex objective"
    QUADRATIC = "a quadratic smooth part"
    LINEAR_MODEL = "a linear model"
    SMOOTH = "a smooth objective"
    CONTINUOUS_CURVATURE = "a loss whose curvature has no jumps"
    CONSTRAINED = "a constraint set as the penalty"
    ROUND = "a constraint set with vertices in every direction"
    UNIFORM_ROWS = "a penalty that treats every parameter alike"
    FINITE_SUM = "an objective that is a mean over samples"
    MATRICES = "matrices among its parameters"


@dataclass(frozen=True)
class Needs:
    """What a solver requires of a problem.

    ``instead`` is what else would do: the same method by other questions.
    """

    oracles: frozenset[Oracle] = field(default_factory=frozenset)
    traits: frozenset[Trait] = field(default_factory=frozenset)
    instead: Needs | None = None

    @classmethod
    def of(cls, *wanted: Oracle | Trait) -> Needs:
        """``Needs.of(Oracle.GRAD, Trait.CONVEX)``: the short way to write one."""
        return cls(
            frozenset(w for w in wanted if isinstance(w, Oracle)),
            frozenset(w for w in wanted if isinstance(w, Trait)),
        )

    def or_else(self, other: Needs) -> Needs:
        """These needs, in the place of which ``other`` would do."""
        return replace(self, instead=other)

    def missing(self, problem: Problem) -> list[str]:
        """Phrases for what ``problem`` lacks, each with the problem's reason; empty if it fits."""
        if self.instead is not None and not self.instead.missing(problem):
            return []
        phrases = []
        for oracle in sorted(self.oracles):
            reason = problem.why_not(oracle)
            if reason is not None:
                phrases.append(f"{oracle}, and {reason}" if reason else str(oracle))
        phrases += [str(trait) for trait in sorted(self.traits - problem.traits)]
        return phrases


def offers(
    oracle: Oracle, lacks: Callable[[Any], str | None] | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare that the decorated method answers ``oracle``, and count its calls.

    Parameters
    ----------
    oracle : Oracle
        The question this method answers.
    lacks : callable, optional
        Takes the problem; returns ``None`` when it can answer and otherwise the reason why not,
        a clause such as ``"the L1 penalty has none"``.
    """

    def declare(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def counted(self: Problem, *args: Any, **kwargs: Any) -> Any:
            self.counts[oracle] += 1
            return method(self, *args, **kwargs)

        counted.__oracle__ = (oracle, lacks)  # type: ignore[attr-defined]
        return counted

    return declare
