"""The laws of a problem: a declared oracle works, and the certificate tells the truth."""

from __future__ import annotations

from typing import Any

import numpy as np

from skopt_dl.dispatch.auto import choose
from skopt_dl.dispatch.registry import SOLVERS
from skopt_dl.engine import Oracle, Problem, Stopping, Trait, run
from skopt_dl.kernels.memory import Memory
from skopt_dl.kernels.namespace import to_float
from skopt_dl.testing.law import host, require, require_close

# The method that our solvers call for each oracle.
METHODS = {
    Oracle.GRAD: "point",
    Oracle.SUBGRADIENT: "subgradient",
    Oracle.SMOOTH_GRAD: "smooth_value_grad",
    Oracle.LIPSCHITZ: "lipschitz",
    Oracle.PROX: "prox",
    Oracle.LMO: "linear_minimiser",
    Oracle.HVP: "hvp",
    Oracle.HESSIAN: "hessian",
    Oracle.HESSIAN_DIAGONAL: "hessian_diagonal",
    Oracle.GGN: "ggn",
    Oracle.GGN_ROOT: "ggn_root",
    Oracle.SAMPLE_HVP: "sample_hvp",
    Oracle.SAMPLE_GGN: "sample_ggn",
    Oracle.SAMPLE_HESSIAN: "sample_hessian",
    Oracle.KRONECKER: "kronecker",
    Oracle.CURVATURE_SCORES: "curvature_scores",
    Oracle.COORDS: "coordinates",
    Oracle.QUADRATIC_MODEL: "quadratic_model",
    Oracle.LEAST_SQUARES: "least_squares",
    Oracle.MATRIX: "dense_matrix",
    Oracle.GRAPH: "graph_projection",
    Oracle.SPLIT: "loss_prox",
    Oracle.SAMPLE_GRAD: "sample_grad",
    Oracle.SAMPLE_VALUE: "sample_value",
    Oracle.SAMPLE_CURVATURE: "sample_curvature",
    Oracle.SAMPLE_SLOPES: "samples",
    Oracle.NEWTON_SYSTEM: "residual_system",
    Oracle.DUAL_COORDS: "dual_coordinates",
}


def check_problem(problem: Problem, *, seed: int = 0) -> None:
    """Check every oracle that ``problem`` offers, and its certificate.

    Parameters
    ----------
    problem : Problem
        A small instance (some tens of parameters) in double precision.
    seed : int
        Of the random points.

    Raises
    ------
    AssertionError
        Naming the broken law.
    """
    p = _Probe(problem, seed)
    _check_declarations(problem)
    for oracle, check in _CHECKS.items():
        if oracle in problem.offers:
            check(p)
    _check_certificate(p)


class _Probe:
    """A problem with random feasible points of its namespace."""

    def __init__(self, problem: Any, seed: int) -> None:
        self.problem, self.xp = problem, problem.xp
        self.rng = np.random.default_rng(seed)
        self.eps = float(problem.xp.finfo(problem.dtype).eps)
        self.w, self.other, self.third = self.point(), self.point(), self.point()

    def draw(self, shape: Any) -> Any:
        a = self.rng.standard_normal(shape)
        return self.xp.asarray(a, dtype=self.problem.dtype, device=self.problem.device)

    def point(self) -> Any:
        w = self.problem.start() + self.draw(self.problem.size)
        return self.problem.prox(w, 1.0) if Oracle.PROX in self.problem.offers else w

    def value(self, w: Any) -> float:
        return to_float(self.problem.value(w))


def _check_declarations(problem: Problem) -> None:
    declared = problem._declared()
    for oracle in Oracle:
        reason = problem.why_not(oracle)
        if oracle in problem.offers:
            require(f"an offered oracle has no reason against it: {oracle}", reason is None)
            name = declared[oracle][0]
            require(f"it is a method: {name}", callable(getattr(problem, name, None)))
            require(
                f"{oracle} is answered by the method that solvers call",
                METHODS.get(oracle, name) == name,
                f"it is declared on {name!r}",
            )
        else:
            require(f"a missing oracle has a reason: {oracle}", isinstance(reason, str))
    w = problem.start()
    require("start has the length size", tuple(w.shape) == (problem.size,), f"{w.shape}")
    require("start has the problem's dtype", w.dtype == problem.dtype, f"{w.dtype}")
    ends = [s.indices(problem.size)[:2] for s in problem.blocks.values()]
    covered = sorted(i for a, b in ends for i in range(a, b))
    require("blocks cover every parameter once", covered == list(range(problem.size)))


def _difference(p: _Probe, function: Any, w: Any, d: Any) -> Any:
    h = p.eps ** (1 / 3)
    return (function(w + h * d) - function(w - h * d)) / (2 * h)


def _check_point(p: _Probe) -> None:
    q, d = p.problem, p.draw(p.problem.size)
    point = q.point(p.w)
    require_close("point.value = value", point.value, q.value(p.w), 1e-10)
    slope = to_float(p.xp.sum(point.grad * d))
    difference = to_float(_difference(p, q.value, p.w, d))
    require_close("grad = difference of values", slope, difference, 1e-5, 1e-7)
    line = q.along(point, d)
    for t in (0.0, 0.3, 2.0):
        value, slope = line(t)
        there = q.point(p.w + t * d)
        size = 1e-9 * (1 + abs(to_float(there.value)))
        require_close("phi(t) = value along the line", value, to_float(there.value), 1e-9)
        expected = to_float(p.xp.sum(there.grad * d))
        require_close("phi'(t) = slope along the line", slope, expected, 1e-8, size)
        require_close("accept(t) = the point there", line.accept(t).grad, there.grad, 1e-9, 1e-12)


def _check_smooth(p: _Probe) -> None:
    q, d = p.problem, p.draw(p.problem.size)
    _, g = q.smooth_value_grad(p.w)
    difference = _difference(p, lambda w: q.smooth_value_grad(w)[0], p.w, d)
    require_close(
        "smooth gradient = difference of values",
        to_float(p.xp.sum(g * d)),
        to_float(difference),
        1e-5,
        1e-7,
    )


def _check_subgradient(p: _Probe) -> None:
    q = p.problem
    for w in (p.w, p.other, q.start()):
        value, g = q.subgradient(w)
        require_close("subgradient gives the value", value, q.value(w), 1e-10)
        for other in (p.w, p.other, p.third, q.start(), w + 1e-3 * p.draw(q.size)):
            below = to_float(value) + to_float(p.xp.sum(g * (other - w)))
            size = 1e-10 * (1 + abs(below))
            supports = Trait.CONVEX not in q.traits or p.value(other) >= below - size
            require("a subgradient supports the objective", supports)


def _check_lipschitz(p: _Probe) -> None:
    q, L = p.problem, to_float(p.problem.lipschitz())
    for a, b in ((p.w, p.other), (p.other, p.third), (p.w, q.start())):
        change = q.smooth_value_grad(a)[1] - q.smooth_value_grad(b)[1]
        moved = np.linalg.norm(host(a - b))
        require(
            "the gradient changes by at most L times the way",
            np.linalg.norm(host(change)) <= L * moved * (1 + 1e-6),
        )


def _check_prox(p: _Probe) -> None:
    q, step = p.problem, 0.4
    v = p.draw(q.size)
    u = q.prox(v, step)

    def cost(w: Any) -> float:
        penalty = q.nonsmooth_value(w) if hasattr(q, "nonsmooth_value") else 0.0
        return to_float(penalty) + to_float(p.xp.sum((w - v) ** 2)) / (2 * step)

    for w in (p.w, p.other, p.third, q.start()):
        require("prox minimises penalty + |w - v|^2 / (2 step)", cost(u) <= cost(w) + 1e-10)


def _check_linear_minimiser(p: _Probe) -> None:
    q, g = p.problem, p.draw(p.problem.size)
    s = q.linear_minimiser(g)
    require("a linear minimiser lies in the set", np.isfinite(p.value(s)))
    for w in (p.w, p.other, p.third):
        require("no point of the set is lower", to_float(p.xp.sum(g * (s - w))) <= 1e-12)


def _check_curvature(p: _Probe) -> None:
    q, d = p.problem, p.draw(p.problem.size)
    point = q.point(p.w)
    difference = _difference(p, lambda w: q.point(w).grad, p.w, d)
    if Oracle.HVP in q.offers:
        require_close("hvp = difference of gradients", q.hvp(point)(d), difference, 1e-4, 1e-7)
    if Oracle.HESSIAN in q.offers:
        H = q.hessian(point)
        require_close("hessian d = difference of gradients", H @ d, difference, 1e-4, 1e-7)
        require_close("a Hessian is symmetric", H, host(H).T, 1e-10, 1e-12)
        if Oracle.HESSIAN_DIAGONAL in q.offers:
            diagonal = q.hessian_diagonal(point)
            require_close("its diagonal", diagonal, host(H).diagonal(), 1e-10, 1e-12)


def _check_gauss_newton(p: _Probe) -> None:
    q, d, e = p.problem, p.draw(p.problem.size), p.draw(p.problem.size)
    point = q.point(p.w)
    product = q.ggn(point)
    require("Gauss-Newton products are semi-definite", to_float(d @ product(d)) >= -1e-12)
    sides = to_float(e @ product(d)), to_float(d @ product(e))
    require_close("a Gauss-Newton matrix is symmetric", *sides, 1e-9, 1e-12)
    if Trait.LINEAR_MODEL in q.traits:
        require_close("of a linear model it is the Hessian", product(d), q.hvp(point)(d), 1e-9)
    if Oracle.GGN_ROOT in q.offers:
        J, diagonal = q.ggn_root(point)
        require_close("J'J + D", J.T @ (J @ d) + diagonal * d, product(d), 1e-9, 1e-12)


def _check_sample_curvature(p: _Probe) -> None:
    q, d, n = p.problem, p.draw(p.problem.size), p.problem.n_samples
    every = p.xp.asarray(np.arange(n), device=q.device)
    half = every[: (n + 1) // 2]
    difference = _difference(
        p, lambda w: p.xp.asarray(q.sample_grad(w, half)[1], copy=True), p.w, d
    )
    product = q.sample_hvp(p.w, half)(d)
    require_close(
        "a batch's product = difference of its gradients", product, difference, 1e-4, 1e-7
    )
    ones = p.xp.ones(half.shape[0], dtype=q.dtype, device=q.device)
    require_close("weights of one change nothing", q.sample_hvp(p.w, half, ones)(d), product, 1e-12)
    kept = Memory()
    q.sample_hvp(p.w + 1, every, memory=kept)(d)
    again = q.sample_hvp(p.w, half, memory=kept)(d)
    require_close("memory that is kept changes nothing", again, product, 1e-12, 1e-12)
    whole = q.hvp(q.point(p.w))(d)
    require_close("all samples have the Hessian", q.sample_hvp(p.w, every)(d), whole, 1e-9, 1e-12)
    if Oracle.SAMPLE_HESSIAN in q.offers:
        H = q.sample_hessian(p.w, half, 2 * ones)
        twice = q.sample_hvp(p.w, half, 2 * ones)(d)
        require_close("a batch's Hessian is the matrix of its products", H @ d, twice, 1e-9, 1e-12)
    if Oracle.SAMPLE_GGN in q.offers:
        whole = q.ggn(q.point(p.w))(d)
        require_close(
            "and the Gauss-Newton matrix", q.sample_ggn(p.w, every)(d), whole, 1e-9, 1e-12
        )


def _check_sample_gauss_newton(p: _Probe) -> None:
    q, d, n = p.problem, p.draw(p.problem.size), p.problem.n_samples
    half = p.xp.asarray(np.arange((n + 1) // 2), device=q.device)
    product = q.sample_ggn(p.w, half)(d)
    require("a batch's Gauss-Newton matrix is semi-definite", to_float(d @ product) >= -1e-12)
    if Trait.LINEAR_MODEL in q.traits:
        difference = _difference(
            p, lambda w: p.xp.asarray(q.sample_grad(w, half)[1], copy=True), p.w, d
        )
        require_close("of a linear model it is the gradients'", product, difference, 1e-4, 1e-7)


def _check_curvature_scores(p: _Probe) -> None:
    q = p.problem
    scores = q.curvature_scores(q.point(p.w))
    require("a score for each sample", tuple(scores.shape) == (q.n_samples,), f"{scores.shape}")
    require("scores are not negative", bool(p.xp.all(scores >= 0)))


def _check_coordinates(p: _Probe) -> None:
    q, w = p.problem, p.xp.asarray(p.w, copy=True)
    model = q.coordinates(w)
    model.epochs(q.kernels.index_range(q.size), 3, 0.0)
    require("coordinate descent works on w in place", bool(p.xp.any(w != p.w)))
    require("coordinate descent does not increase the objective", p.value(w) <= p.value(p.w))


def _check_quadratic_model(p: _Probe) -> None:
    q, before = p.problem, p.xp.asarray(p.w, copy=True)
    model = q.quadratic_model(p.w)
    model.epochs(q.kernels.index_range(q.blocks["coef"].stop), 5, 0.0)
    model.close()
    require("a second-order model does not write w", bool(p.xp.all(p.w == before)))
    require("its step promises a decrease", model.decrease <= 0)
    t = 1e-4
    require_close("value(0) = the objective", model.value(0.0), p.value(p.w), 1e-12)
    require_close("value(t) = the objective", model.value(t), p.value(p.w + t * model.d), 1e-12)
    gain = (model.value(t) - model.value(0.0)) / t
    require("the objective falls along its step", gain <= 0.5 * model.decrease + 1e-8)


def _check_least_squares(p: _Probe) -> None:
    q = p.problem
    A, omega, Y, ridge = q.least_squares()
    W = p.xp.reshape(p.w, ridge.shape)
    g = A.rmatvec(omega[:, None] * (A.matvec(W) - Y)) + ridge * W
    expected = q.point(p.w).grad
    require_close(
        "least squares have the objective's gradient",
        p.xp.reshape(g, (-1,)),
        expected,
        1e-10,
        1e-12,
    )


def _check_graph(p: _Probe) -> None:
    q = p.problem
    project = q.graph_projection()
    c, d = q.matrix(p.w), p.draw(q.y.shape)
    w, z = project(c, d)
    require_close("a projection lies on the graph", z, q.map.matvec(w), 1e-10, 1e-12)
    best = to_float(project.square(w - c, z - d))
    for other in (q.matrix(p.other), c, w + 1e-3 * q.matrix(p.third)):
        there = to_float(project.square(other - c, q.map.matvec(other) - d))
        require("no point of the graph is nearer", best <= there * (1 + 1e-12))


def _check_split(p: _Probe) -> None:
    q, step = p.problem, 0.7
    v = p.draw(q.y.shape)
    z = q.loss_prox(v, step)

    def cost(a: Any) -> float:
        square = (a - v) ** 2
        each = square if square.ndim == 1 else p.xp.sum(square, axis=1)
        return to_float(q.loss_value(a) + q.omega @ each / (2 * step))

    for other in (v, 0 * v, z + 1e-3 * p.draw(v.shape)):
        require("loss_prox minimises its cost", cost(z) <= cost(other) + 1e-12 * abs(cost(other)))


def _check_sample_grad(p: _Probe) -> None:
    q, n = p.problem, p.problem.n_samples
    every = p.xp.asarray(np.arange(n), device=q.device)
    value, grad = q.sample_grad(p.w, every)
    if Trait.SMOOTH in q.traits and Oracle.GRAD in q.offers:
        point = q.point(p.w)
        whole = point.value, point.grad
    else:
        whole = q.smooth_value_grad(p.w)
    require_close("the batch of all samples has the value", value, whole[0], 1e-9)
    require_close("the batch of all samples has the gradient", grad, whole[1], 1e-9, 1e-12)
    halves = [q.sample_grad(p.w, every[: n // 2]), q.sample_grad(p.w, every[n // 2 :])]
    mean = (n // 2) / n * halves[0][1] + (n - n // 2) / n * halves[1][1]
    require_close("batch gradients are unbiased", mean, whole[1], 1e-9, 1e-12)


def _check_sample_value(p: _Probe) -> None:
    q, d, h = p.problem, p.other - p.w, 1e-5
    half = p.xp.asarray(np.arange((q.n_samples + 1) // 2), device=q.device)
    slope = (q.sample_value(p.w + h * d, half) - q.sample_value(p.w - h * d, half)) / (2 * h)
    grad = q.sample_grad(p.w, half)[1]
    require_close("a batch's value has the batch's gradient", slope, grad @ d, 1e-5, 1e-7)


def _check_diagonal(p: _Probe) -> None:
    q, h = p.problem, 1e-5
    half = p.xp.asarray(np.arange((q.n_samples + 1) // 2), device=q.device)
    found = host(q.sample_curvature(p.w, half))
    kept = Memory()
    q.sample_curvature(p.w + 1, p.xp.asarray(np.arange(q.n_samples), device=q.device), memory=kept)
    again = host(q.sample_curvature(p.w, half, memory=kept))
    require_close("memory that is kept changes nothing", again, found, 1e-12, 1e-12)
    require("a batch has one curvature a parameter", found.shape == (q.size,), f"{found.shape}")
    require("curvatures of batches are not negative", np.all(found >= 0))
    if Trait.LINEAR_MODEL not in q.traits:
        return
    at = p.xp.arange(q.size, device=q.device)
    bends = []
    for j in range(q.size):
        d = p.xp.where(at == j, p.xp.full_like(p.w, h), p.xp.zeros_like(p.w))
        ahead = host(q.sample_grad(p.w + d, half)[1])[j]
        bends.append((ahead - host(q.sample_grad(p.w - d, half)[1])[j]) / (2 * h))
    require_close(
        "a batch's curvatures are those of its gradient", found, np.array(bends), 1e-5, 1e-7
    )


def _check_certificate(p: _Probe) -> None:
    q = p.problem
    points = [q.start(), p.w, p.other, p.third]
    choice = choose(q)
    if choice is not None and Trait.CONVEX in q.traits:
        solver = SOLVERS.get(choice[0])()
        best = run(q, solver, stopping=Stopping(tol=1e-9, max_iter=20_000), rng=p.rng).w
        points.append(best)
    values = [p.value(w) for w in points]
    for w, value in zip(points, values, strict=True):
        c = q.certificate(w)
        size = 1e-10 * (1 + abs(value))
        require_close("the certificate's objective is the value", c.objective, value, 1e-10)
        require("a certificate is not negative", c.value >= 0, f"{c.kind} is {c.value}")
        if c.gap is not None and Trait.CONVEX in q.traits:
            require(
                "a gap bounds the suboptimality",
                c.gap >= value - min(values) - size,
                f"{c.gap:.6g} < {value - min(values):.6g}",
            )
        again = q.certificate(w)
        require("a certificate depends on the point alone", again.value == c.value)


_CHECKS = {
    Oracle.GRAD: _check_point,
    Oracle.SUBGRADIENT: _check_subgradient,
    Oracle.SMOOTH_GRAD: _check_smooth,
    Oracle.LIPSCHITZ: _check_lipschitz,
    Oracle.PROX: _check_prox,
    Oracle.LMO: _check_linear_minimiser,
    Oracle.HVP: _check_curvature,
    Oracle.GGN: _check_gauss_newton,
    Oracle.SAMPLE_HVP: _check_sample_curvature,
    Oracle.SAMPLE_GGN: _check_sample_gauss_newton,
    Oracle.CURVATURE_SCORES: _check_curvature_scores,
    Oracle.COORDS: _check_coordinates,
    Oracle.QUADRATIC_MODEL: _check_quadratic_model,
    Oracle.LEAST_SQUARES: _check_least_squares,
    Oracle.GRAPH: _check_graph,
    Oracle.SPLIT: _check_split,
    Oracle.SAMPLE_GRAD: _check_sample_grad,
    Oracle.SAMPLE_VALUE: _check_sample_value,
    Oracle.SAMPLE_CURVATURE: _check_diagonal,
}
