"""What the parameters of the networks may be, and how they configure a solver given by name."""

from __future__ import annotations

import inspect
import warnings
from numbers import Integral
from typing import Any

import numpy as np

from skopt_dl._sklearn.parameters import check_choice, check_flag, check_number, check_running
from skopt_dl.dispatch import SOLVERS, UnknownNameError
from skopt_dl.engine import Oracle, Solver
from skopt_dl.neural_network.network import activations_of
from skopt_dl.neural_network.pretraining import check_start
from skopt_dl.search.schedules import InverseScaling, schedule_of

# Parameters that configure a solver given by name, and what they are called there.
RULE_PARAMETERS = {
    "learning_rate_init": "learning_rate",
    "momentum": "momentum",
    "beta_1": "beta_1",
    "beta_2": "beta_2",
    "epsilon": "epsilon",
    "batch_size": "batch_size",
    "shuffle": "shuffle",
}
# The same for what scikit-learn does not have: a rule that cannot do it is an error.
RULE_OPTIONS = {"decoupled_weight_decay": "weight_decay", "max_grad_norm": "max_grad_norm"}
# Numbers that ask for Adam where the solver is "auto".
ADAMS = ("learning_rate_init", "beta_1", "beta_2", "epsilon")
# The rules whose defaults are scikit-learn's; the others keep their own where the estimator's
# parameter has not been changed.
SCIKIT_LEARN_RULES = ("auto", "adam", "sgd", "momentum", "nesterov")


def is_stochastic(solver: Any) -> bool:
    """Whether a solver (or its class) works on batches."""
    return Oracle.SAMPLE_GRAD in solver.needs.oracles


def trains_by_epochs(estimator: Any) -> bool:
    """Whether ``estimator.solver`` can go on from epoch to epoch, as ``partial_fit`` does.

    Raises
    ------
    AttributeError
        If it cannot: the method is then not there.
    """
    solver = estimator.solver
    if isinstance(solver, str) and solver != "auto":
        try:
            solver = SOLVERS.get(solver)
        except UnknownNameError as error:
            raise AttributeError(str(error)) from error
    if solver == "auto" or (hasattr(solver, "needs") and is_stochastic(solver)):
        return True
    raise AttributeError(
        f"partial_fit is only available for stochastic solvers; {estimator.solver!r} is not"
    )


def hidden_sizes(model: Any) -> list[int]:
    """Units of each hidden layer.

    Raises
    ------
    ValueError
        If one of them is no integer >= 1.
    """
    given = model.hidden_layer_sizes
    sizes: list[Any] = list(given) if hasattr(given, "__iter__") else [given]
    if not all(isinstance(s, Integral) and int(s) > 0 for s in sizes):
        raise ValueError(
            f"hidden_layer_sizes must be > 0, got {given!r}: {type(model).__name__} takes an "
            "integer or a sequence of integers >= 1"
        )
    return [int(s) for s in sizes]


def check_options(model: Any) -> None:
    """Raise unless the parameters that classifier and regressor share are valid."""
    for activation in activations_of(model.activation, len(hidden_sizes(model))):
        check_number(activation, "strength", low=-np.inf)
    check_choice(model, "learning_rate", ("constant", "invscaling", "adaptive"))
    for name in ("alpha", "power_t", "tol", "decoupled_weight_decay"):
        check_number(model, name, low=0)
    for name in ("learning_rate_init", "epsilon"):
        check_number(model, name, low=0, open_low=True)
    for name in ("momentum", "validation_fraction", "beta_1", "beta_2"):
        check_number(model, name, low=0, high=1)
    check_number(model, "dropout", low=0, high=np.nextafter(1, 0))
    for name in ("max_iter", "max_fun", "n_ensemble"):
        check_number(model, name, Integral, low=1)
    if model.n_iter_no_change != np.inf:
        check_number(model, "n_iter_no_change", Integral, low=1)
    if not (isinstance(model.batch_size, str) and model.batch_size == "auto"):
        check_number(model, "batch_size", Integral, low=1)
    for name in ("max_time", "max_grad_norm"):
        check_number(model, name, low=0, open_low=True, optional=True)
    check_number(model, "n_threads", Integral, low=1, optional=True)
    check_choice(model, "dtype", (None, "float32", "float64", np.float32, np.float64))
    check_choice(model, "restore_best", (None, True, False))
    check_flag(model, "shuffle", "warm_start", "nesterovs_momentum", "early_stopping", "scaling")
    check_flag(model, "resume")
    check_running(model)
    check_start(model.initialisation)
    warn_of_unused(model)


def warn_of_unused(model: Any) -> None:
    """A solver instance has its own settings: say which of the estimator's are not read."""
    if not isinstance(model.solver, Solver):
        return
    signature = inspect.signature(type(model)).parameters
    names = [*RULE_PARAMETERS, *RULE_OPTIONS, "learning_rate", "power_t", "nesterovs_momentum"]
    unused = [k for k in names if k in signature and getattr(model, k) != signature[k].default]
    if unused:
        warnings.warn(
            f"{type(model).__name__}: {', '.join(unused)} configure a solver given by name and "
            f"are not read with solver={model.solver!r}; set them there",
            UserWarning,
            stacklevel=4,
        )


def solver_of(model: Any) -> Any:
    """``solver``, with scikit-learn's names spelt out.

    Its "sgd" has the estimator's momentum, Adam with a decoupled decay is AdamW, and "auto" is Adam
    where numbers are given that only a rule with a rate has.
    """
    name = model.solver
    if not isinstance(name, str):
        return name
    if name == "sgd" and model.momentum > 0:
        return "nesterov" if model.nesterovs_momentum else "momentum"
    if name == "auto" and _changed(model, *ADAMS, *RULE_OPTIONS):
        name = "adam"
    return "adamw" if name == "adam" and model.decoupled_weight_decay > 0 else name


def _changed(model: Any, *names: str) -> bool:
    signature = inspect.signature(type(model)).parameters
    return any(getattr(model, name) != signature[name].default for name in names)


def rule_settings(model: Any) -> dict[str, Any]:
    """The settings of a solver given by name that the estimator's parameters stand for.

    Raises
    ------
    ValueError
        If a decoupled decay or a bound on the gradient is asked of a rule that has none.
    """
    name = solver_of(model)
    theirs_too = name != "auto" and model.solver in SCIKIT_LEARN_RULES
    given = {
        theirs: getattr(model, ours)
        for ours, theirs in RULE_PARAMETERS.items()
        if theirs_too or _changed(model, ours)
    }
    # scikit-learn's Adam follows no schedule.
    if model.solver not in ("adam", "auto"):
        given["schedule"] = (
            InverseScaling(model.power_t)
            if model.learning_rate == "invscaling"
            else schedule_of(model.learning_rate)
        )
    return given | asked_options(model, name) if isinstance(name, str) else given


def asked_options(model: Any, name: str) -> dict[str, Any]:
    """The settings of the solver ``name`` that are asked for and scikit-learn does not have.

    Raises
    ------
    ValueError
        If the solver has no such setting.
    """
    given = {}
    for ours, theirs in RULE_OPTIONS.items():
        value = getattr(model, ours)
        if not _changed(model, ours):
            continue
        if name != "auto" and theirs not in SOLVERS.get(name)().get_params(deep=False):
            able = [
                repr(other)
                for other, part in SOLVERS.parts()
                if is_stochastic(part) and theirs in part().get_params(deep=False)
            ]
            raise ValueError(
                f"{type(model).__name__}: {ours}={value!r}, but solver={model.solver!r} cannot do "
                f"that. Solvers that can: {', '.join(able)}."
            )
        given[theirs] = value
    return given
