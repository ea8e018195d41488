"""Where the subspace iterations of the low-rank methods begin, and the settings they share.

Letters: V columns that span the subspace, k the rank.
"""

from __future__ import annotations

from typing import Any

# Turns of the subspace iteration from random vectors; later ones begin with the last answer.
FIRST_TURNS = 12


def check_subspace(solver: Any) -> None:
    """Raise unless ``extra`` vectors and ``turns`` make sense.

    Raises
    ------
    ValueError
        Naming the class, the parameter, its value and its range.
    """
    for name, least in (("extra", 0), ("turns", 1)):
        value = getattr(solver, name)
        if value < least:
            raise ValueError(
                f"{type(solver).__name__}: {name}={value!r}, but it must be at least {least}"
            )


def random_columns(problem: Any, extra: int, rng: Any) -> Any:
    """A Gaussian array of shape ``(n, k + extra)``, drawn on the host."""
    (m, k), (n, _) = problem.shapes.values()
    V = rng.standard_normal((n, min(k + extra, m, n)))
    return problem.xp.asarray(V, dtype=problem.dtype, device=problem.device)


def first_triplets(problem: Any, E: Any, extra: int, rng: Any) -> tuple[Any, Any, Any]:
    """Leading singular triplets of the matrix of the entries ``E``, of the data where None."""
    V = random_columns(problem, extra, rng)
    return problem.leading_triplets(None, None, E, V, FIRST_TURNS)  # type: ignore[no-any-return]


def first_vectors(problem: Any, w: Any, extra: int, rng: Any) -> Any:
    """Orthonormal columns near the columns' factors of ``w``, ``extra`` more than these."""
    xp, V = problem.xp, random_columns(problem, extra, rng)
    Q = problem.columns_of(w)
    return xp.linalg.qr(xp.concat([Q, V[:, Q.shape[1] :]], axis=1) + 1e-3 * xp.max(xp.abs(Q)) * V).Q
