"""The loop: every way to stop, what is recorded, going on from a state."""

import math
import pickle
from dataclasses import dataclass

import numpy as np
import pytest

from skopt_dl import minimize
from skopt_dl.dispatch import IncompatibleSolverError
from skopt_dl.engine import (
    Certificate,
    Needs,
    Oracle,
    Solver,
    SolveReport,
    State,
    Status,
    Stopping,
    run,
)
from skopt_dl.problems import SmoothProblem
from skopt_dl.solvers.newton import NewtonCholesky
from skopt_dl.solvers.quasi_newton import LBFGS

CENTRE = np.array([1.0, -2.0, 3.0])


def bowl(**kwargs):
    """``|w - CENTRE|^2 / 2``."""
    kwargs = {"start": np.zeros(3), "convex": True} | kwargs
    return SmoothProblem(lambda w: 0.5 * ((w - CENTRE) ** 2).sum(), lambda w: w - CENTRE, **kwargs)


@dataclass
class HalvingState(State):
    calls: int = 0


class Halving(Solver):
    """Halves the distance to the optimum, or does what a test asks for at some iteration.

    ``script`` maps an iteration to the new iterate (a function of the old one) or to a status.
    """

    needs = Needs.of(Oracle.GRAD)
    chunk = 4

    def __init__(self, script=None, indicator=None):
        self.script, self.indicator = script, indicator

    def init(self, problem, w, rng):
        return HalvingState(w=w)

    def advance(self, problem, state, n):
        state.calls += 1
        for _ in range(n):
            state.n_iter += 1
            state.n_epochs += 2.0
            do = (self.script or {}).get(state.n_iter)
            if isinstance(do, Status):
                return do
            state.w = do(state.w) if do else state.w - 0.5 * problem.point(state.w).grad
            state.indicator = np.max(np.abs(problem.point(state.w).grad))
            if self.indicator is not None:
                state.indicator = self.indicator(state.n_iter)
            if state.indicator <= state.target:
                break
        return Status.RUNNING


def stop(**kwargs):
    return Stopping(**{"tol": 1e-8, "max_iter": 1000} | kwargs)


# --- ways to stop -------------------------------------------------------------------------------


def test_tolerance_bounds_the_certificate_and_the_indicator_saves_certificates():
    problem = bowl()
    result = run(problem, Halving(), stopping=stop())
    assert result.status is Status.CONVERGED
    assert result.success
    # 3 / 2^k <= 1e-8 first at k = 29; after a near miss the indicator has to halve once more.
    assert result.n_iter in (29, 30)
    assert result.certificate.value <= 1e-8
    np.testing.assert_allclose(result.w, CENTRE, atol=1e-8)


def test_an_indicator_of_another_unit_is_calibrated_by_certificates():
    for unit in (1e-6, 1e6):
        solver = Halving(indicator=lambda k, unit=unit: unit * 3 / 2**k)
        result = run(bowl(), solver, stopping=stop())
        assert result.status is Status.CONVERGED
        assert 29 <= result.n_iter <= 32


def test_iterations_are_a_ceiling_and_chunks_respect_it():
    result = run(bowl(), Halving(), stopping=stop(max_iter=6))
    assert result.status is Status.MAX_ITER
    assert not result.success
    assert result.n_iter == 6


def test_an_answer_that_is_good_enough_at_the_last_iteration_has_converged():
    # No certificate falls on iteration 30 by the schedule: the indicator says nothing.
    solver = Halving(indicator=lambda k: 1e9)
    solver.chunk = 1
    result = run(bowl(), solver, stopping=stop(max_iter=30))
    assert result.status is Status.CONVERGED
    assert result.n_iter <= 30


def test_seconds_stop_only_on_request(monkeypatch):
    import skopt_dl.engine.trace as trace

    ticks = iter(range(10**6))
    monkeypatch.setattr(trace.time, "perf_counter", lambda: float(next(ticks)))
    stopping = stop(tol=1e-300, max_iter=40)
    assert run(bowl(), Halving(), stopping=stopping).status is not Status.MAX_TIME
    # Initialisation and each call of advance take one tick.
    stopping = stop(tol=1e-300, max_iter=40, max_time=3.0)
    result = run(bowl(), Halving(), stopping=stopping)
    assert result.status is Status.MAX_TIME
    assert result.seconds == 3.0
    assert result.n_iter == 8


def test_a_method_that_does_not_move_has_stalled():
    solver = Halving(script={k: lambda w: w for k in range(1, 10**4)}, indicator=lambda k: 0.0)
    result = run(bowl(), solver, stopping=stop())
    assert result.status is Status.STALLED
    assert result.n_iter == 1


def test_a_certificate_that_stops_improving_ends_the_solve_long_before_the_budget():
    solver = Halving(script={k: lambda w: w for k in range(6, 10**6)})
    result = run(bowl(), solver, stopping=stop(max_iter=10**6))
    assert result.status is Status.STALLED
    assert result.n_iter < 10**5


class Lazy(Halving):
    """Returns without an iteration, for ever."""

    def advance(self, problem, state, n):
        return Status.RUNNING


@pytest.mark.parametrize("tol", [1e-8, None])
def test_a_method_that_makes_no_iterations_cannot_hang_the_loop(tol):
    assert run(bowl(), Lazy(), stopping=stop(tol=tol)).status is Status.STALLED


def test_the_last_finite_iterate_is_returned():
    solver = Halving(script={k: lambda w: np.full(3, np.inf) for k in range(5, 9)})
    result = run(bowl(), solver, stopping=stop())
    assert result.status is Status.NONFINITE
    # Iterations 1 to 4 were one report, the bad one was the second.
    np.testing.assert_allclose(result.w, CENTRE * (1 - 0.5**4))
    assert math.isfinite(result.certificate.value)
    assert math.isnan(result.history["certificate"][-1])


def test_an_observer_stops_and_the_others_are_still_asked():
    class Counter:
        def __init__(self, stop_at):
            self.stop_at, self.seen = stop_at, []

        def on_report(self, report):
            self.seen.append(report.n_iter)
            return report.n_iter >= self.stop_at

    first, second = Counter(8), Counter(10**9)
    result = run(bowl(), Halving(), stopping=stop(), observers=[first, second])
    assert result.status is Status.STOPPED
    assert first.seen == second.seen == [4, 8]
    assert result.certificate.value == pytest.approx(3 / 2**8)
    assert result.history["certificate"][-1] == result.certificate.value


@pytest.mark.parametrize("status", [Status.LINE_SEARCH_FAILED, Status.STALLED])
def test_the_method_s_own_end_is_kept_unless_the_tolerance_is_met(status):
    early = run(bowl(), Halving(script={5: status}), stopping=stop())
    assert early.status is status
    assert early.certificate.value == pytest.approx(3 / 2**4)
    met = run(bowl(), Halving(script={40: status}), stopping=stop(tol=1e-6))
    assert met.status is Status.CONVERGED
    # Also where the budget is spent in the same moment.
    spent = run(bowl(), Halving(script={5: status}), stopping=stop(max_iter=5))
    assert spent.status is status


def test_a_method_cannot_call_itself_converged_against_the_certificate():
    result = run(bowl(), Halving(script={3: Status.CONVERGED}), stopping=stop())
    assert result.status is Status.STALLED
    met = run(bowl(), Halving(script={40: Status.CONVERGED}), stopping=stop(tol=1e-6))
    assert met.status is Status.CONVERGED


def test_without_a_tolerance_the_certificate_is_evaluated_once_at_the_end():
    class Counted(SmoothProblem):
        asked = 0

        def certificate(self, w):
            self.asked += 1
            return Certificate("made up", 0.0, 1.0)

    problem = Counted(lambda w: 0.5 * w @ w, lambda w: w, start=np.ones(2))
    result = run(problem, Halving(), stopping=stop(tol=None, max_iter=20))
    assert problem.asked == 1
    assert result.history["certificate"][-1] == 0.0
    assert all(math.isnan(c) for c in result.history["certificate"][:-1])
    assert (result.status, result.n_iter) == (Status.MAX_ITER, 20)


def test_an_extra_rule_ends_the_solve_in_its_own_words():
    class Below:
        def check(self, report):
            return Status.CONVERGED if report.indicator < 0.1 else None

    result = run(bowl(), Halving(), stopping=stop(tol=None, extra=(Below(),)))
    assert result.status is Status.CONVERGED
    assert result.n_iter == 8


# --- what is recorded ---------------------------------------------------------------------------


def test_history_has_a_row_per_report_and_nan_where_nothing_was_certified():
    result = run(bowl(), Halving(), stopping=stop())
    history = result.history
    assert set(history) == {
        "n_iter",
        "n_epochs",
        "seconds",
        "objective",
        "certificate",
        "indicator",
    }
    assert history["n_iter"] == [4, 8, 12, 16, 20, 24, 28, result.n_iter]
    assert history["n_epochs"] == [2.0 * k for k in history["n_iter"]]
    assert history["seconds"] == sorted(history["seconds"])
    np.testing.assert_allclose(history["indicator"], [3 / 2**k for k in history["n_iter"]])
    for objective, certificate in zip(history["objective"], history["certificate"], strict=True):
        assert math.isnan(objective) == math.isnan(certificate)
    assert history["certificate"][-1] == result.certificate.value
    assert result.n_epochs == 2.0 * result.n_iter
    assert any(math.isnan(c) for c in history["certificate"])


def test_oracle_calls_are_those_of_this_solve_alone():
    problem = bowl()
    problem.point(problem.start())
    result = run(problem, Halving(), stopping=stop(max_iter=3, tol=None))
    # Two gradients an iteration: the step and the indicator.
    assert result.oracle_calls == {str(Oracle.GRAD): 6}


def test_the_report_is_plain_and_survives_pickling():
    result = run(bowl(), LBFGS(memory=3), stopping=stop(), reason="because")
    report = result.report()
    again = pickle.loads(pickle.dumps(report))
    assert again == report
    assert isinstance(again, SolveReport)
    assert (report.solver, report.status, report.reason) == (
        "LBFGS(memory=3)",
        "converged",
        "because",
    )
    assert report.certificate_kind == "stationarity"
    assert report.objective == result.certificate.objective
    assert report.kernel == "cython"
    for value in (report.certificate, report.seconds, *report.history["indicator"]):
        assert type(value) is float


# --- starts and states --------------------------------------------------------------------------


def test_a_start_is_copied_converted_and_checked():
    start = np.array([5, 5, 5])
    result = run(bowl(), Halving(), start=start, stopping=stop())
    assert result.w.dtype == np.float64
    np.testing.assert_array_equal(start, [5, 5, 5])
    with pytest.raises(ValueError, match=r"start has shape \(2,\).*this smooth.*\(3,\)"):
        run(bowl(), Halving(), start=np.zeros(2))
    state = Halving().init(bowl(), np.zeros(3), None)
    with pytest.raises(ValueError, match="start and state were both given"):
        run(bowl(), Halving(), start=np.zeros(3), state=state)


def test_a_start_that_meets_the_tolerance_is_the_answer():
    result = run(bowl(), Halving(), start=CENTRE + 1e-9, stopping=stop())
    assert (result.status, result.n_iter, result.oracle_calls) == (Status.CONVERGED, 0, {})
    np.testing.assert_array_equal(result.w, CENTRE + 1e-9)
    assert result.history["n_iter"] == [0]
    assert result.history["certificate"] == [result.certificate.value]


def test_a_state_goes_on_where_it_stopped_and_counts_from_there():
    whole = run(bowl(), LBFGS(), stopping=stop(tol=None, max_iter=1))
    rosenbrock = SmoothProblem(
        lambda w: 100 * (w[1] - w[0] ** 2) ** 2 + (1 - w[0]) ** 2,
        lambda w: np.array(
            [-400 * w[0] * (w[1] - w[0] ** 2) - 2 * (1 - w[0]), 200 * (w[1] - w[0] ** 2)]
        ),
        start=np.array([-1.2, 1.0]),
    )
    whole = run(rosenbrock, LBFGS(), stopping=stop(tol=None, max_iter=12))
    half = run(rosenbrock, LBFGS(), stopping=stop(tol=None, max_iter=7))
    rest = run(rosenbrock, LBFGS(), state=half.state, stopping=stop(tol=None, max_iter=5))
    np.testing.assert_array_equal(rest.w, whole.w)
    assert rest.n_iter == 5
    assert rest.history["n_iter"] == [1, 2, 3, 4, 5]
    epochs = run(bowl(), Halving(), stopping=stop(max_iter=3))
    assert run(bowl(), Halving(), state=epochs.state, stopping=stop(max_iter=3)).n_epochs == 6.0


# --- minimize -----------------------------------------------------------------------------------


def test_minimize_by_auto_by_name_and_by_instance():
    for solver in ("auto", "lbfgs", "nonlinear_cg", LBFGS(memory=2)):
        result = minimize(bowl(), solver, tol=1e-10)
        assert result.success
        np.testing.assert_allclose(result.w, CENTRE, atol=1e-10)
    assert "smooth" in minimize(bowl()).reason


def test_auto_takes_newton_only_where_a_hessian_and_convexity_were_given():
    hessian = {"hessian": lambda w: np.eye(3)}
    assert isinstance(minimize(bowl(**hessian)).solver, NewtonCholesky)
    assert isinstance(minimize(bowl(**hessian, convex=False)).solver, LBFGS)


def test_minimize_passes_its_budgets_on():
    assert minimize(bowl(), Halving(), max_iter=2).n_iter == 2
    assert minimize(bowl(), Halving(), max_time=1e-12).status is Status.MAX_TIME
    stopped = minimize(
        bowl(), Halving(), observers=[type("Stop", (), {"on_report": lambda self, r: True})()]
    )
    assert stopped.status is Status.STOPPED
    far = minimize(bowl(), "lbfgs", start=[50.0, 50.0, 50.0])
    np.testing.assert_allclose(far.w, CENTRE, atol=1e-6)


def test_minimize_by_batches_is_reproducible():
    A = np.random.default_rng(0).standard_normal((600, 4))
    b = A @ np.ones(4)

    def batch(w, index):
        r = A[index] @ w - b[index]
        return 0.5 * np.mean(r**2), A[index].T @ r / len(index)

    def solve(seed):
        problem = SmoothProblem(batch=batch, n_samples=600, start=np.zeros(4), convex=True)
        return minimize(problem, "adam", random_state=seed, max_iter=20)

    first, again, other = solve(0), solve(0), solve(np.random.RandomState(3))
    np.testing.assert_array_equal(first.w, again.w)
    assert not np.array_equal(first.w, other.w)
    assert first.certificate.objective < 0.5 * np.mean(b**2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"tol": -1.0}, "tol=-1.0"),
        ({"max_iter": 0}, "max_iter=0"),
        ({"max_time": 0}, "max_time=0"),
    ],
)
def test_minimize_names_what_is_wrong(arguments, words):
    with pytest.raises(ValueError, match=words):
        minimize(bowl(), **arguments)


def test_minimize_wants_a_problem_and_a_solver_that_fits():
    with pytest.raises(TypeError, match="SmoothProblem"):
        minimize(lambda w: w @ w)
    with pytest.raises(IncompatibleSolverError, match="Hessian matrix, and hessian was not given"):
        minimize(bowl(), "newton_cholesky")
