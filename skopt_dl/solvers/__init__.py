"""The methods, one file a family; a class is imported when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skopt_dl._lazy import attach

if TYPE_CHECKING:  # "as" marks a name as exported
    from skopt_dl.solvers.active_set import ActiveSet as ActiveSet
    from skopt_dl.solvers.admm import ADMM as ADMM
    from skopt_dl.solvers.alternating import ALS as ALS
    from skopt_dl.solvers.anderson import AndersonCD as AndersonCD
    from skopt_dl.solvers.backtracking_fista import BacktrackingFISTA as BacktrackingFISTA
    from skopt_dl.solvers.box_quasi_newton import LBFGSB as LBFGSB
    from skopt_dl.solvers.conjugate_gradient import (
        LSQR as LSQR,
        ConjugateGradient as ConjugateGradient,
    )
    from skopt_dl.solvers.coordinate_descent import CoordinateDescent as CoordinateDescent
    from skopt_dl.solvers.direct import SVD as SVD, Cholesky as Cholesky
    from skopt_dl.solvers.dual_ascent import SDCA as SDCA
    from skopt_dl.solvers.frank_wolfe import FrankWolfe as FrankWolfe
    from skopt_dl.solvers.gauss_newton import GaussNewton as GaussNewton
    from skopt_dl.solvers.gradient_descent import GradientDescent as GradientDescent
    from skopt_dl.solvers.irls import IRLS as IRLS
    from skopt_dl.solvers.newton import NewtonCG as NewtonCG, NewtonCholesky as NewtonCholesky
    from skopt_dl.solvers.nonlinear_cg import NonlinearCG as NonlinearCG
    from skopt_dl.solvers.nystrom_cg import NystromCG as NystromCG
    from skopt_dl.solvers.prox_newton import ProxNewton as ProxNewton
    from skopt_dl.solvers.proximal_gradient import (
        FISTA as FISTA,
        ISTA as ISTA,
        ProjectedGradient as ProjectedGradient,
    )
    from skopt_dl.solvers.quasi_newton import BFGS as BFGS, LBFGS as LBFGS
    from skopt_dl.solvers.semismooth_newton import SemismoothNewton as SemismoothNewton
    from skopt_dl.solvers.stochastic.adafactor import (
        Adafactor as Adafactor,
    )
    from skopt_dl.solvers.stochastic.adagrad import (
        AdaGrad as AdaGrad,
        AdaGradNorm as AdaGradNorm,
    )
    from skopt_dl.solvers.stochastic.adam import Adam as Adam
    from skopt_dl.solvers.stochastic.adam_variants import (
        AdamW as AdamW,
        AMSGrad as AMSGrad,
        NAdam as NAdam,
        RAdam as RAdam,
    )
    from skopt_dl.solvers.stochastic.beliefs import (
        AdaBelief as AdaBelief,
        Yogi as Yogi,
    )
    from skopt_dl.solvers.stochastic.distance import (
        DAdaptation as DAdaptation,
        DoG as DoG,
        Prodigy as Prodigy,
    )
    from skopt_dl.solvers.stochastic.muon import (
        Muon as Muon,
    )
    from skopt_dl.solvers.stochastic.polyak import (
        LineSearchSGD as LineSearchSGD,
        PolyakStep as PolyakStep,
    )
    from skopt_dl.solvers.stochastic.rmsprop import (
        AdaDelta as AdaDelta,
        RMSprop as RMSprop,
        RMSpropNesterov as RMSpropNesterov,
    )
    from skopt_dl.solvers.stochastic.schedule_free import (
        ScheduleFreeAdamW as ScheduleFreeAdamW,
        ScheduleFreeSGD as ScheduleFreeSGD,
    )
    from skopt_dl.solvers.stochastic.sgd import (
        SGD as SGD,
        Momentum as Momentum,
        Nesterov as Nesterov,
    )
    from skopt_dl.solvers.stochastic.shampoo import (
        SOAP as SOAP,
        Shampoo as Shampoo,
    )
    from skopt_dl.solvers.stochastic.sharpness import (
        SAM as SAM,
    )
    from skopt_dl.solvers.stochastic.signs import (
        Lion as Lion,
        SignSGD as SignSGD,
        Signum as Signum,
    )
    from skopt_dl.solvers.subgradient import Subgradient as Subgradient
    from skopt_dl.solvers.trust_region import TrustRegion as TrustRegion
    from skopt_dl.solvers.variance_reduced import SAG as SAG, SAGA as SAGA, SVRG as SVRG

_HOME = {
    "ADMM": "admm",
    "ALS": "alternating",
    "AMSGrad": "stochastic.adam_variants",
    "ActiveSet": "active_set",
    "AdaBelief": "stochastic.beliefs",
    "AdaDelta": "stochastic.rmsprop",
    "AdaGrad": "stochastic.adagrad",
    "AdaGradNorm": "stochastic.adagrad",
    "Adafactor": "stochastic.adafactor",
    "Adam": "stochastic.adam",
    "AdamW": "stochastic.adam_variants",
    "AndersonCD": "anderson",
    "BFGS": "quasi_newton",
    "BacktrackingFISTA": "backtracking_fista",
    "Cholesky": "direct",
    "ConjugateGradient": "conjugate_gradient",
    "CoordinateDescent": "coordinate_descent",
    "DAdaptation": "stochastic.distance",
    "DoG": "stochastic.distance",
    "FISTA": "proximal_gradient",
    "FrankWolfe": "frank_wolfe",
    "GaussNewton": "gauss_newton",
    "GradientDescent": "gradient_descent",
    "IRLS": "irls",
    "ISTA": "proximal_gradient",
    "LBFGS": "quasi_newton",
    "LBFGSB": "box_quasi_newton",
    "LSQR": "conjugate_gradient",
    "LineSearchSGD": "stochastic.polyak",
    "Lion": "stochastic.signs",
    "Momentum": "stochastic.sgd",
    "Muon": "stochastic.muon",
    "NAdam": "stochastic.adam_variants",
    "Nesterov": "stochastic.sgd",
    "NewtonCG": "newton",
    "NewtonCholesky": "newton",
    "NonlinearCG": "nonlinear_cg",
    "NystromCG": "nystrom_cg",
    "PolyakStep": "stochastic.polyak",
    "Prodigy": "stochastic.distance",
    "ProjectedGradient": "proximal_gradient",
    "ProxNewton": "prox_newton",
    "RAdam": "stochastic.adam_variants",
    "RMSprop": "stochastic.rmsprop",
    "RMSpropNesterov": "stochastic.rmsprop",
    "SAG": "variance_reduced",
    "SAGA": "variance_reduced",
    "SAM": "stochastic.sharpness",
    "SDCA": "dual_ascent",
    "SGD": "stochastic.sgd",
    "SOAP": "stochastic.shampoo",
    "SVD": "direct",
    "SVRG": "variance_reduced",
    "ScheduleFreeAdamW": "stochastic.schedule_free",
    "ScheduleFreeSGD": "stochastic.schedule_free",
    "SemismoothNewton": "semismooth_newton",
    "Shampoo": "stochastic.shampoo",
    "SignSGD": "stochastic.signs",
    "Signum": "stochastic.signs",
    "Subgradient": "subgradient",
    "TrustRegion": "trust_region",
    "Yogi": "stochastic.beliefs",
}

__all__ = [*_HOME]
__getattr__, __dir__ = attach(__name__, _HOME)
