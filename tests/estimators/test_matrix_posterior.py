"""MatrixCompletion without tuning: free energy, draws, uncertainty, and the options of tables."""

from __future__ import annotations

import pickle
import warnings

import array_api_strict
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.special import digamma, gammaln
from scipy.stats import kstest
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from skopt_dl.dispatch import IncompatibleSolverError, fitting
from skopt_dl.engine import Stopping, run
from skopt_dl.kernels import bind, generic_observed
from skopt_dl.matrix_completion import MatrixCompletion
from skopt_dl.matrix_completion.observe import observe
from skopt_dl.matrix_completion.posterior import PosteriorProblem
from skopt_dl.solvers.alternating import VariationalBayes
from skopt_dl.solvers.gibbs import Gibbs

BIASES = [(False, False), (True, False), (False, True), (True, True)]


def noisy(m=60, n=40, rank=2, noise=0.3, share=0.4, seed=0):
    """``(X, full)``: a matrix of low rank seen through noise, NaN where nothing is seen."""
    rng = np.random.default_rng(seed)
    full = rng.standard_normal((m, rank)) @ rng.standard_normal((rank, n))
    X = full + noise * rng.standard_normal((m, n))
    return np.where(rng.random((m, n)) < share, np.nan, X), full


def problem_on(layout, row_bias=False, col_bias=False, copies=None, row_noise=False):
    X = noisy(14, 10, share=0.5)[0]
    X[1], X[:, 2] = np.nan, np.nan
    weights = None if copies is None else np.asarray(copies, dtype=float)
    if layout == "sparse":
        seen = ~np.isnan(X)
        X = sparse.coo_array((X[seen], np.nonzero(seen)), shape=X.shape).tocsr()
    elif layout == "strict":
        X = array_api_strict.asarray(X)
    observed = observe(X, np.nan, weights)
    options = {"row_bias": row_bias, "col_bias": col_bias, "row_noise": row_noise}
    return PosteriorProblem(observed, 3, row_copies=weights, **options)


def somewhere(p, seed=1):
    """A point with variances and precisions in general position."""
    rng = np.random.default_rng(seed)
    w = np.array(p.start()) if p.xp is np else np.zeros(p.size)
    w = rng.standard_normal(w.shape)
    for index, part in enumerate(p._slices):
        if index in (1, 3, 4, 5, 6, 9, 10):
            w[part] = 0.5 + rng.random(w[part].shape)
    return p.xp.asarray(w)


# --- the free energy ----------------------------------------------------------------------------


@pytest.mark.parametrize("row_noise", [False, True])
@pytest.mark.parametrize("biases", BIASES)
@pytest.mark.parametrize("layout", ["dense", "sparse", "strict"])
def test_the_free_energy_is_its_formula(biases, layout, row_noise):
    p = problem_on(layout, *biases, row_noise=row_noise)
    w = somewhere(p)
    b = p.unpack(w)
    P, S, Q, T, tau, gamma, delta, mu, nu = (
        np.asarray(a) for a in (b.P, b.S, b.Q, b.T, b.tau, b.gamma, b.delta, b.mu, b.nu)
    )
    X = noisy(14, 10, share=0.5)[0]
    X[1], X[:, 2] = np.nan, np.nan
    total = 0.0
    lam, logs = np.ones(14), np.zeros(14)
    if row_noise:
        lam, prior = np.asarray(b.lam), float(b.eta[0]) / 2
        shape = prior + (~np.isnan(X)).sum(axis=1) / 2
        rate = shape / lam
        logs = digamma(shape) - np.log(rate)
        own = (shape - prior) * digamma(shape) - gammaln(shape) + gammaln(prior)
        own += prior * np.log(rate / prior) + shape * (prior / rate - 1)
        total += own[~np.isnan(X).all(axis=1)].sum()
    for i, j in zip(*np.nonzero(~np.isnan(X)), strict=True):
        u, s, v, t = P[i, :3], S[i, :3], Q[j, :3], T[j, :3]
        mean = u @ v + P[i, 3:].sum() + Q[j, 3:].sum()
        spread = np.sum(u * u * t + s * v * v + s * t) + S[i, 3:].sum() + T[j, 3:].sum()
        total += 0.5 * tau[0] * lam[i] * ((X[i, j] - mean) ** 2 + spread)
        total -= 0.5 * (np.log(tau[0] / (2 * np.pi)) + logs[i])
    for i in np.flatnonzero(~np.isnan(X).all(axis=1)):
        total += 0.5 * np.sum(gamma * ((P[i] - mu) ** 2 + S[i]) - np.log(gamma * S[i]) - 1)
    for j in np.flatnonzero(~np.isnan(X).all(axis=0)):
        total += 0.5 * np.sum(delta * ((Q[j] - nu) ** 2 + T[j]) - np.log(delta * T[j]) - 1)
    total += 0.5 * np.sum(gamma * mu**2) + 0.5 * np.sum(delta * nu**2)
    np.testing.assert_allclose(float(p.value(w)), total / (~np.isnan(X)).sum(), rtol=1e-12)


@pytest.mark.parametrize("biases", BIASES)
@pytest.mark.parametrize("block", ["rows", "cols", "scales", "noise"])
@pytest.mark.parametrize("row_noise", [False, True])
def test_a_step_is_the_minimum_over_its_block(biases, block, row_noise):
    p = problem_on("dense", *biases, row_noise=row_noise or block == "noise")
    w = somewhere(p)
    p.posterior_step(w, block)
    lowest, part = float(p.value(w)), p.blocks[block]
    if block == "noise":  # less the degrees of freedom
        part = p._slices[9]
    rng = np.random.default_rng(0)
    for size in (1e-1, 1e-3):
        for _ in range(20):
            other = w.copy()
            other[part] *= 1 + size * rng.standard_normal(other[part].shape)
            assert p.value(other) >= lowest - 1e-13


@pytest.mark.parametrize("biases", BIASES)
def test_the_free_energy_never_rises(biases):
    p, solver = problem_on("dense", *biases), VariationalBayes()
    w = p.start()
    solver.advance(p, state := solver.init(p, w, None), 1)
    values = [float(p.value(state.w))]
    for _ in range(30):
        solver.advance(p, state, 1)
        values.append(float(p.value(state.w)))
    assert np.all(np.diff(values) <= 1e-12)
    certificate = p.certificate(state.w)
    solver.advance(p, state, 1)
    gained = values[-1] - float(p.value(state.w))
    np.testing.assert_allclose(certificate.value, gained, atol=1e-13)


def test_copies_of_rows_are_weights():
    copies = np.array([1, 2, 3, 1, 2, 1, 1, 3, 1, 2, 1, 1, 2, 1])
    X = noisy(14, 10, share=0.3)[0]
    weighted = MatrixCompletion(2, random_state=0, tol=1e-9).fit(X, sample_weight=copies)
    repeated = MatrixCompletion(2, random_state=0, tol=1e-9).fit(np.repeat(X, copies, axis=0))
    np.testing.assert_allclose(weighted.transform(X), repeated.transform(X), atol=1e-6)
    np.testing.assert_allclose(weighted.noise_variance_, repeated.noise_variance_, rtol=1e-6)


# --- draws --------------------------------------------------------------------------------------


@pytest.mark.parametrize("row_noise", [False, True])
@pytest.mark.parametrize("block", ["rows", "cols"])
def test_draws_have_the_conditional_distribution(block, row_noise):
    """Scaled to unit variance, the draws of every parameter are standard normal."""
    p = problem_on("dense", True, True, row_noise=row_noise)
    w = somewhere(p)
    for part in (p._slices[1], p._slices[3]):
        w[part] = 0.0
    exact = w.copy()
    p.posterior_step(exact, block)
    b = p.unpack(exact)
    mean = b.P if block == "rows" else b.Q
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(400):
        drawn = w.copy()
        p.draw(drawn, block, rng)
        after = p.unpack(drawn)
        draws.append(after.P if block == "rows" else after.Q)
    draws = np.array(draws)
    index = 5 if block == "rows" else 4
    F = (
        p.factor.of_rows(p.factor._right(b.Q, 1.0))
        if block == "rows"
        else p.factor.of_cols(p.factor._left(b.P, 1.0))
    )
    W = (p.observed.pattern if block == "rows" else p.observed.pattern_t).toarray()
    prior = b.gamma if block == "rows" else b.delta
    if row_noise:
        W = (b.lam[:, None] if block == "rows" else b.lam[None, :]) * W
    A = b.tau[0] * (F.T * W[index]) @ F + np.diag(prior)
    half = np.linalg.cholesky(A)
    standard = (draws[:, index] - mean[index]) @ half
    assert kstest(standard.ravel(), "norm").pvalue > 1e-3
    assert abs(np.cov(standard.T) - np.eye(4)).max() < 0.25


def test_draws_of_the_priors_have_their_distribution():
    """Those of the mean, whatever the precision, are of a t distribution around the fitted one."""
    p = problem_on("dense", True, True)
    w = somewhere(p)
    for part in (p._slices[1], p._slices[3]):
        w[part] = 0.0
    exact, rng = w.copy(), np.random.default_rng(0)
    p.posterior_step(exact, "scales")
    at, draws = p.unpack(exact), []
    for _ in range(400):
        drawn = w.copy()
        p.draw(drawn, "scales", rng)
        b = p.unpack(drawn)
        draws.append((b.gamma[1] / at.gamma[1], b.mu[1], b.delta[3] / at.delta[3], b.nu[3]))
    draws = np.array(draws)
    for (relative, means), count, precision, mean in (
        (draws[:, :2].T, 13, at.gamma[1], at.mu[1]),
        (draws[:, 2:].T, 9, at.delta[3], at.nu[3]),
    ):
        assert kstest(relative, "gamma", args=(count / 2, 0, 2 / count)).pvalue > 1e-3
        standard = (means - mean) * np.sqrt((count + 1) * precision)
        assert kstest(standard, "t", args=(count,)).pvalue > 1e-3


def test_draws_of_the_noise_of_rows_have_their_distribution():
    p = problem_on("dense", row_noise=True)
    w = somewhere(p)
    for part in (p._slices[1], p._slices[3]):
        w[part] = 0.0
    exact, rng, draws = w.copy(), np.random.default_rng(0), []
    p.posterior_step(exact, "noise")
    at = p.unpack(exact)
    for _ in range(400):
        drawn = w.copy()
        p.draw(drawn, "noise", rng)
        draws.append(p.unpack(drawn).lam / at.lam)
    count, degrees = p.observed.row_weight, float(at.eta[0])
    for i in (0, 5):
        shape = (degrees + count[i]) / 2
        assert kstest(np.array(draws)[:, i], "gamma", args=(shape, 0, 1 / shape)).pvalue > 1e-3
    np.testing.assert_array_equal(np.array(draws)[:, 1], 1.0)  # a row without entries


@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_degrees_of_freedom_tell_whether_rows_differ(spread):
    rng = np.random.default_rng(0)
    full = rng.standard_normal((300, 2)) @ rng.standard_normal((2, 60))
    size = np.exp(spread * rng.standard_normal(300))[:, None]
    X = full + size * rng.standard_normal(full.shape)
    X[rng.random(full.shape) < 0.6] = np.nan
    model = MatrixCompletion(4, solver=Gibbs(n_draws=40), noise="rows", random_state=0).fit(X)
    degrees = np.median(model._columns.draws[-1])
    assert degrees > 100 if spread == 0 else degrees < 10
    if spread:  # steady rows teach the columns, wild ones are not believed
        alike = error(MatrixCompletion(4, random_state=0).fit(X), X, full)
        assert error(model, X, full) < 0.85 * alike
        assert error(clone(model).set_params(solver="vb").fit(X), X, full) < 0.85 * alike
    copies = np.where(np.arange(300) < 20, 3.0, 1.0)
    weighted = clone(model).fit(X, sample_weight=copies)
    repeated = clone(model).fit(np.repeat(X, copies.astype(int), axis=0))
    np.testing.assert_allclose(error(weighted, X, full), error(repeated, X, full), rtol=0.05)


def test_who_has_a_noise_by_rows():
    X, _ = noisy(30, 20)
    pairs = np.argwhere(~np.isnan(X))
    draws = MatrixCompletion(2, solver=Gibbs(n_draws=3), random_state=0)
    table = draws.fit(X)._columns.eta
    given = clone(draws).fit(pairs, X[tuple(pairs.T)])._columns.eta
    assert table is None and given.shape == (1,)
    by_rows = MatrixCompletion(2, noise="rows", random_state=0)
    filled = by_rows.fit_transform(X)
    np.testing.assert_allclose(by_rows.transform(X[4:7]), filled[4:7], atol=1e-12)
    with pytest.raises(ValueError, match="noise='common'"):
        by_rows.partial_fit(X)
    for other in ({"alpha": 0.1}, {"positive": True}, {"loss": "huber"}):
        with pytest.raises(ValueError, match="noise='rows' is part of a posterior"):
            clone(by_rows).set_params(**other).fit(X)


@pytest.mark.parametrize("solver", ["vb", Gibbs(n_draws=60)])
@pytest.mark.parametrize("fit_bias", [False, "rows"])
def test_a_level_is_not_shrunk_without_biases(solver, fit_bias):
    """Columns of ratings have levels; few entries a row say little else."""
    rng = np.random.default_rng(0)
    levels = 4 + rng.standard_normal(30)
    full = levels + rng.standard_normal((300, 1)) @ rng.standard_normal((1, 30))
    X = np.where(rng.random(full.shape) < 0.85, np.nan, full + rng.standard_normal(full.shape))
    errors = []
    for bias in (fit_bias, "both"):
        model = MatrixCompletion(4, solver=solver, fit_bias=bias, random_state=0).fit(X)
        errors.append(error(model, X, full))
        new = model.transform(np.full((1, 30), np.nan))[0]
        np.testing.assert_allclose(new, levels, atol=0.5)
    assert errors[0] < 1.1 * errors[1]


def test_who_is_not_seen_is_as_uncertain_as_the_prior():
    X, full = noisy(120, 80)
    for solver in ("vb", Gibbs(n_draws=40)):
        model = MatrixCompletion(3, solver=solver, random_state=0).fit(X)
        cells = [[500, 500], [500, 3], [3, 500]]
        std = model.predict_entries(cells, return_std=True)[1]
        expected = [full.std(), full[:, 3].std(), full[3].std()]
        np.testing.assert_allclose(std, expected, rtol=0.3)


def test_gibbs_ends_by_itself_and_keeps_its_draws():
    p = problem_on("dense")
    solver = Gibbs(n_warm=3, n_burn=2, n_draws=7)
    stopping = Stopping(tol=None, max_iter=100)
    results = [
        run(p, solver, stopping=stopping, rng=np.random.default_rng(seed)) for seed in (0, 0, 1)
    ]
    assert results[0].success and results[0].n_iter == 12 and len(results[0].state.draws) == 7
    np.testing.assert_array_equal(results[0].w, results[1].w)
    assert not np.allclose(results[0].w, results[2].w)
    for options, message in [({"n_draws": 0}, "n_draws=0"), ({"n_burn": -1}, "n_burn=-1")]:
        with pytest.raises(ValueError, match=message):
            solver.set_params(**options).init(p, p.start(), None)
        solver.set_params(n_burn=2, n_draws=7)


@pytest.mark.parametrize("solver", ["vb", Gibbs(n_draws=40)])
def test_the_uncertainty_is_that_of_the_errors(solver):
    X, full = noisy(120, 80, noise=0.5, seed=3)
    model = MatrixCompletion(4, solver=solver, random_state=0).fit(X)
    cells = np.argwhere(np.isnan(X))
    values, std = model.predict_entries(cells, return_std=True)
    relative = (values - full[tuple(cells.T)]) / std
    # Independent factors understate what is jointly uncertain, by a bounded factor.
    assert 0.7 < np.sqrt(np.mean(relative**2)) < 1.6
    np.testing.assert_allclose(model.noise_variance_, 0.25, rtol=0.1)
    np.testing.assert_array_equal(values, model.predict_entries(cells))


# --- the estimator ------------------------------------------------------------------------------


def error(model, X, full):
    missing = np.isnan(X)
    return np.linalg.norm((model.transform(X) - full)[missing]) / np.linalg.norm(full[missing])


def test_nothing_is_tuned_and_the_rank_is_found():
    X, full = noisy(100, 60, noise=0.5)
    model = MatrixCompletion(8, random_state=0).fit(X)
    assert model.solver_ == "vb"
    tuned = min(
        error(MatrixCompletion(k, alpha=alpha).fit(X), X, full)
        for k in (2, 4)
        for alpha in (1e-3, 1e-2, 1e-1)
    )
    assert error(model, X, full) <= 1.02 * tuned
    sizes = np.linalg.norm(model.components_, axis=1) * np.linalg.norm(model.row_factors_, axis=0)
    assert np.sum(sizes > 0.05 * sizes.max()) == 2


def test_other_solvers_get_the_strength_that_was_learned():
    X, full = noisy(100, 60, noise=0.5)
    names = fitting(MatrixCompletion()._build_problem(X))
    assert {"vb", "gibbs"} <= set(names) and "als" not in names
    model = MatrixCompletion(2, solver="als", random_state=0).fit(X)
    by_hand = MatrixCompletion(2, alpha=model.alpha_, solver="als", random_state=0).fit(X)
    np.testing.assert_allclose(model.transform(X), by_hand.transform(X), atol=1e-3)
    assert error(model, X, full) < 0.2
    with pytest.raises(IncompatibleSolverError, match="closed-form posteriors"):
        MatrixCompletion(2, alpha=0.1, solver="vb").fit(X)
    with pytest.raises(IncompatibleSolverError, match="columns of X"):
        MatrixCompletion(2, solver="anderson_cd").fit(X)


def test_only_a_posterior_has_uncertainty():
    X, _ = noisy()
    model = MatrixCompletion(2, alpha=0.1).fit(X)
    for ask in (
        lambda: model.predict_entries([[0, 0]], return_std=True),
        lambda: model.row_factors(X, return_std=True),
    ):
        with pytest.raises(ValueError, match=r"return_std=True needs a posterior.*'als'"):
            ask()


@pytest.mark.parametrize("fit_bias", [False, "rows", "cols", "both"])
def test_rows_are_folded_in_and_pairs_agree(fit_bias):
    X, _ = noisy()
    X[3], X[:, 7] = np.nan, np.nan
    model = MatrixCompletion(3, fit_bias=fit_bias, random_state=0).fit(X)
    filled = model.transform(X)
    np.testing.assert_allclose(model.transform(X[5:9]), filled[5:9], atol=1e-12)
    # Where nothing is seen, what the priors say.
    at, k = model._columns, 3
    new = at.mu[:k] @ at.nu[:k] + at.mu[k:].sum() + at.nu[k:].sum()
    np.testing.assert_allclose(filled[3, 7], new + (model.mean_ if fit_bias else 0))
    np.testing.assert_allclose(model.predict_entries([[999, 999]]), filled[3, 7])
    cells = np.argwhere(np.isnan(X))
    np.testing.assert_allclose(model.predict_entries(cells), filled[tuple(cells.T)], atol=1e-10)
    U, std = model.row_factors(X, return_std=True)
    np.testing.assert_allclose(U, model.row_factors_, atol=1e-12)
    assert np.all(std > 0) and np.all(std[3] >= std[4])
    unseen, uncertain = model.predict_entries([[999, 0], [0, 0]], return_std=True)[1]
    assert unseen >= uncertain > 0


@pytest.mark.parametrize("solver", ["vb", "gibbs"])
@pytest.mark.parametrize("device", ["CPU_DEVICE", "device1"])
def test_other_namespaces_give_the_same_answer(device, solver):
    device = array_api_strict.Device(device)
    X, _ = noisy(20, 12, share=0.3)
    options = {"solver": Gibbs(n_draws=5) if solver == "gibbs" else "vb"}
    options |= {"fit_bias": "both", "random_state": 0, "scale": True}
    host = MatrixCompletion(2, **options).fit(X)
    there = MatrixCompletion(2, **options).fit(array_api_strict.asarray(X, device=device))
    cpu = array_api_strict.Device("CPU_DEVICE")
    filled = there.transform(array_api_strict.asarray(X, device=device))
    assert filled.device == device
    np.testing.assert_allclose(np.asarray(filled.to_device(cpu)), host.transform(X), atol=1e-8)
    std = there.predict_entries([[0, 1]], return_std=True)[1]
    expected = host.predict_entries([[0, 1]], return_std=True)[1]
    np.testing.assert_allclose(np.asarray(std.to_device(cpu)), expected, atol=1e-8)


def test_pairs_with_draws_and_pickles():
    X, full = noisy()
    pairs = np.argwhere(~np.isnan(X))
    model = MatrixCompletion(3, solver=Gibbs(n_draws=20), fit_bias="both", random_state=0)
    model.fit(pairs, X[tuple(pairs.T)])
    cells = np.argwhere(np.isnan(X))
    values, std = model.predict(cells, return_std=True)
    assert np.linalg.norm(values - full[tuple(cells.T)]) < 0.2 * np.linalg.norm(values)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(cells, return_std=True)[1], std)
    assert not hasattr(clone(model), "components_")


def test_threads_change_nothing():
    X, _ = noisy(60, 40, share=0.7)
    data = sparse.csr_array(np.nan_to_num(X))
    one, two = (MatrixCompletion(3, n_jobs=n, random_state=0).fit(data) for n in (1, 2))
    np.testing.assert_allclose(one.components_, two.components_, rtol=1e-12, atol=1e-14)


def test_units_of_columns_do_not_matter_when_scaled():
    X, _ = noisy()
    units = np.geomspace(1e-3, 1e3, X.shape[1])
    plain = MatrixCompletion(2, scale=True, fit_bias="cols", random_state=0).fit(X)
    scaled = MatrixCompletion(2, scale=True, fit_bias="cols", random_state=0).fit(X * units)
    np.testing.assert_allclose(scaled.transform(X * units) / units, plain.transform(X), atol=1e-8)
    assert plain.score(X) == pytest.approx(scaled.score(X * units), abs=0.2)
    cells = np.argwhere(np.isnan(X))
    np.testing.assert_allclose(
        scaled.predict_entries(cells), scaled.transform(X * units)[tuple(cells.T)]
    )


def test_clip_keeps_values_in_range():
    X, _ = noisy(noise=1.0)
    low, high = np.nanmin(X), np.nanmax(X)
    wild = MatrixCompletion(10, alpha=1e-4, tol=1e-2, random_state=0)
    missing = np.isnan(X)
    assert np.abs(wild.fit_transform(X)[missing]).max() > max(-low, high)
    data = clone(wild).set_params(clip="data").fit(X)
    filled = data.transform(X)
    assert filled.min() >= low and filled.max() <= high
    given = clone(wild).set_params(clip=(0, 1)).fit(X).transform(X)
    assert given[missing].min() == 0 and given[missing].max() == 1
    assert data.predict_entries(np.argwhere(missing)).max() <= high


def test_indicator_and_empty_columns():
    X, _ = noisy(20, 6, share=0.3)
    X[:, 1], X[:, 4] = 1.0, np.nan
    frame = pd.DataFrame(X, columns=list("abcdef"))
    model = MatrixCompletion(2, add_indicator=True, keep_empty_features=False, random_state=0)
    out = model.set_output(transform="pandas").fit_transform(frame)
    assert list(out.columns) == [*"abcdf", *(f"missingindicator_{c}" for c in "acdef")]
    np.testing.assert_array_equal(out["missingindicator_a"], np.isnan(X[:, 0]))
    assert list(model.get_feature_names_out()) == list(out.columns)
    kept = MatrixCompletion(2, random_state=0).fit(X)
    np.testing.assert_allclose(kept.transform(X)[:, 4], kept.row_factors_ @ kept._columns.nu)
    ridge = MatrixCompletion(2, alpha=0.1, random_state=0).fit(X)
    np.testing.assert_allclose(ridge.transform(X)[:, 4], ridge.mean_)
    assert kept.transform(X).shape == X.shape


def test_precision_is_chosen():
    X, _ = noisy()
    model = MatrixCompletion(2, dtype="float32", random_state=0).fit(X)
    assert model.components_.dtype == np.float32
    reference = MatrixCompletion(2, random_state=0).fit(X)
    np.testing.assert_allclose(model.transform(X), reference.transform(X), atol=1e-2)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("layout", ["dense", "sparse"])
def test_ridges_of_coordinates_and_additions(dtype, layout):
    rng = np.random.default_rng(0)
    W = (rng.random((9, 7)) * (rng.random((9, 7)) < 0.6)).astype(dtype)
    W[3] = 0
    T = (W * rng.standard_normal((9, 7))).astype(dtype)
    F, ridge = rng.standard_normal((7, 2)).astype(dtype), rng.random((9, 2)).astype(dtype)
    extra = rng.standard_normal((9, 2)).astype(dtype)
    spec = generic_observed.ridge_rows(W, T, F, ridge, extra)
    A = (F.T * W[5]) @ F + np.diag(ridge[5])
    np.testing.assert_allclose(spec[5], np.linalg.solve(A, T[5] @ F + extra[5]), rtol=1e-4)
    if layout == "sparse":
        W, T = sparse.csr_array(W), sparse.csr_array(T)
    for threads in (1, 3):
        compiled = bind(np, dtype, layout).ridge_rows(W, T, F, ridge, extra, threads)
        np.testing.assert_allclose(compiled, spec, rtol=1e-4 if dtype == "float32" else 1e-10)
        assert not compiled[3].any()


@parametrize_with_checks([MatrixCompletion(2, random_state=0)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_no_component_of_a_table_is_lost(seed):
    """Eight factors of forty columns: large noise at the start, or an early stop, loses some."""
    rng = np.random.default_rng(seed)
    factors = rng.standard_normal((1000, 8)) / np.sqrt(1 + np.arange(8))
    full = factors @ rng.standard_normal((8, 40))
    full = full / full.std(axis=0) + 0.15 * rng.standard_normal((1000, 40))
    full = full * rng.lognormal(size=40) + 3 * rng.standard_normal(40)
    X = np.where(rng.random(full.shape) < 0.2, np.nan, full)
    alive = []
    for tol in (1e-4, 1e-7):
        model = MatrixCompletion(12, scale=True, fit_bias="cols", tol=tol, random_state=0).fit(X)
        size = np.linalg.norm(model.components_, axis=1)
        alive.append(int(np.sum(size > 1e-3 * size.max())))
    assert alive == [8, 8]


# --- units --------------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [False, "cols", "both"])
@pytest.mark.parametrize("solver", ["vb", "gibbs"])
@pytest.mark.parametrize(("dtype", "unit"), [("float64", 2.0**33), ("float32", 2.0**13)])
def test_other_units_change_nothing_but_the_units(bias, solver, dtype, unit):
    X = noisy()[0].astype(dtype)
    models = [
        MatrixCompletion(5, solver=solver, fit_bias=bias, random_state=0).fit(c * X)
        for c in (1.0, unit)
    ]
    one, other = (model.transform(X * c) / c for model, c in zip(models, (1.0, unit), strict=True))
    gaps = np.isnan(X)
    apart = np.linalg.norm((one - other)[gaps]) / np.linalg.norm(one[gaps])
    # Without biases to the last digits; a bias and a component share the digits of a row.
    assert apart <= (1e-4 if not bias else 0.05)
    ratio = models[1].noise_variance_ / models[0].noise_variance_ / unit**2
    np.testing.assert_allclose(ratio, 1.0, rtol=0.02)


def test_entries_that_cannot_be_squared_are_refused():
    X = noisy()[0]
    for size, options, message in [
        (1e-100, {}, "root mean square of .*e-100"),
        (1e-20, {"fit_bias": "both"}, "with fit_bias='both'"),
        (1e150, {}, "and 5e"),
        (1e200, {"alpha": 0}, "are infinite in float64"),
        (1e-200, {"alpha": 0.1}, "are zero in float64"),
    ]:
        with np.errstate(over="ignore"), pytest.raises(ValueError, match=message):
            MatrixCompletion(2, **options).fit(size * X)
    # In units of their own columns they are of no particular size.
    scaled = MatrixCompletion(2, scale=True, random_state=0)
    expected = scaled.fit_transform(X)
    np.testing.assert_allclose(scaled.fit_transform(X * 2.0**-400) * 2.0**400, expected, rtol=1e-6)


def test_a_row_without_entries_is_completed_without_a_warning():
    model = MatrixCompletion(2, random_state=0).fit(noisy()[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        filled = model.transform(np.full((1, 40), np.nan))
    np.testing.assert_allclose(filled[0], model._columns.mu @ model.components_)


@pytest.mark.parametrize("value", [7e-6, 0.1, 1e9 / 3])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_constant_column_is_not_divided_by_its_rounding(value, dtype):
    X = noisy()[0]
    X[:, 3] = np.where(np.isnan(X[:, 3]), np.nan, value)
    filled = MatrixCompletion(2, scale=True, fit_bias="cols", random_state=0).fit_transform(
        X.astype(dtype)
    )
    # In its own unit, which is one, as near as the other columns let its gaps come.
    np.testing.assert_allclose(filled[:, 3], value, rtol=1e-2, atol=0.2)
