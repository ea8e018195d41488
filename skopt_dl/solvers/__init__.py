"""The methods, one file a family; a class is imported when it is first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skopt_dl._lazy import attach

if TYPE_CHECKING:  # "as" marks a name as exported
    from skopt_dl.solvers.active_set import ActiveSet as ActiveSet
    from skopt_dl.solvers.admm import ADMM as ADMM
    from skopt_dl.solvers.alternating import (
        ALS as ALS,
        SoftImputeALS as SoftImputeALS,
        VariationalBayes as VariationalBayes,
    )
    from skopt_dl.solvers.anderson import AndersonCD as AndersonCD
    from skopt_dl.solvers.backtracking_fista import BacktrackingFISTA as BacktrackingFISTA
    from skopt_dl.solvers.barzilai_borwein import BarzilaiBorwein as BarzilaiBorwein
    from skopt_dl.solvers.box_quasi_newton import LBFGSB as LBFGSB
    from skopt_dl.solvers.conjugate_gradient import (
        LSQR as LSQR,
        ConjugateGradient as ConjugateGradient,
    )
    from skopt_dl.solvers.consensus_admm import ConsensusADMM as ConsensusADMM
    from skopt_dl.solvers.coordinate_descent import (
        HALS as HALS,
        CoordinateDescent as CoordinateDescent,
    )
    from skopt_dl.solvers.cubic import ARC as ARC, SubsampledARC as SubsampledARC
    from skopt_dl.solvers.decentralised.exact import (
        EXTRA as EXTRA,
        GradientTracking as GradientTracking,
    )
    from skopt_dl.solvers.decentralised.giant import GIANT as GIANT
    from skopt_dl.solvers.decentralised.gossip import (
        DGD as DGD,
        DPSGD as DPSGD,
        MajorityVote as MajorityVote,
    )
    from skopt_dl.solvers.decentralised.newton import NewtonConsensus as NewtonConsensus
    from skopt_dl.solvers.direct import SVD as SVD, Cholesky as Cholesky
    from skopt_dl.solvers.dual_ascent import SDCA as SDCA
    from skopt_dl.solvers.frank_wolfe import FrankWolfe as FrankWolfe
    from skopt_dl.solvers.gauss_newton import GaussNewton as GaussNewton
    from skopt_dl.solvers.gauss_newton_cg import (
        GaussNewtonCG as GaussNewtonCG,
        LevenbergMarquardt as LevenbergMarquardt,
        SubsampledNewton as SubsampledNewton,
    )
    from skopt_dl.solvers.gibbs import Gibbs as Gibbs
    from skopt_dl.solvers.gradient_descent import GradientDescent as GradientDescent
    from skopt_dl.solvers.greedy_cd import GreedyCD as GreedyCD
    from skopt_dl.solvers.hessian_free import HessianFree as HessianFree
    from skopt_dl.solvers.irls import IRLS as IRLS
    from skopt_dl.solvers.modified_newton import (
        ProximalPoint as ProximalPoint,
        SaddleFreeNewton as SaddleFreeNewton,
    )
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
    from skopt_dl.solvers.regularized_newton import RegularizedNewton as RegularizedNewton
    from skopt_dl.solvers.riemannian import RiemannianCG as RiemannianCG
    from skopt_dl.solvers.riemannian_trust_region import (
        RiemannianTrustRegion as RiemannianTrustRegion,
    )
    from skopt_dl.solvers.rprop import Rprop as Rprop
    from skopt_dl.solvers.scaled_gradient import ScaledGD as ScaledGD
    from skopt_dl.solvers.semismooth_newton import SemismoothNewton as SemismoothNewton
    from skopt_dl.solvers.soft_impute import SoftImpute as SoftImpute
    from skopt_dl.solvers.spectral_admm import SpectralADMM as SpectralADMM
    from skopt_dl.solvers.stochastic.adafactor import (
        Adafactor as Adafactor,
    )
    from skopt_dl.solvers.stochastic.adagrad import (
        AdaGrad as AdaGrad,
        AdaGradNorm as AdaGradNorm,
    )
    from skopt_dl.solvers.stochastic.adam import Adam as Adam
    from skopt_dl.solvers.stochastic.adam_relatives import (
        Adamax as Adamax,
        Adan as Adan,
        AdEMAMix as AdEMAMix,
    )
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
    from skopt_dl.solvers.stochastic.diagonal import AdaHessian as AdaHessian, Sophia as Sophia
    from skopt_dl.solvers.stochastic.distance import (
        DAdaptation as DAdaptation,
        DoG as DoG,
        DoWG as DoWG,
        Prodigy as Prodigy,
    )
    from skopt_dl.solvers.stochastic.downpour import Downpour as Downpour
    from skopt_dl.solvers.stochastic.growing import (
        MultiBatchLBFGS as MultiBatchLBFGS,
        ProgressiveLBFGS as ProgressiveLBFGS,
    )
    from skopt_dl.solvers.stochastic.growing_momentum import GrowingNesterov as GrowingNesterov
    from skopt_dl.solvers.stochastic.kfac import EKFAC as EKFAC, KFAC as KFAC
    from skopt_dl.solvers.stochastic.kfac_variants import (
        BKFAC as BKFAC,
        BRKFAC as BRKFAC,
        KLDWRM as KLDWRM,
        RSKFAC as RSKFAC,
    )
    from skopt_dl.solvers.stochastic.muon import (
        Muon as Muon,
    )
    from skopt_dl.solvers.stochastic.natural_gradient import NaturalGradient as NaturalGradient
    from skopt_dl.solvers.stochastic.own_rates import VSGD as VSGD
    from skopt_dl.solvers.stochastic.polyak import (
        LineSearchSGD as LineSearchSGD,
        MoMo as MoMo,
        PolyakStep as PolyakStep,
    )
    from skopt_dl.solvers.stochastic.preconditioned import (
        SVRGLBFGS as SVRGLBFGS,
        SketchySGD as SketchySGD,
    )
    from skopt_dl.solvers.stochastic.promise import PROMISE as PROMISE, SAPPHIRE as SAPPHIRE
    from skopt_dl.solvers.stochastic.quasi_newton import (
        SQN as SQN,
        BlockBFGS as BlockBFGS,
        OnlineBFGS as OnlineBFGS,
        SdLBFGS as SdLBFGS,
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
    from skopt_dl.solvers.stochastic.snapshots import BatchSVRG as BatchSVRG
    from skopt_dl.solvers.stochastic.storm import STORM as STORM
    from skopt_dl.solvers.stochastic.tonga import TONGA as TONGA
    from skopt_dl.solvers.subgradient import Subgradient as Subgradient
    from skopt_dl.solvers.svt import SVT as SVT
    from skopt_dl.solvers.trust_region import (
        SubsampledTrustRegion as SubsampledTrustRegion,
        TrustRegion as TrustRegion,
    )
    from skopt_dl.solvers.variance_reduced import SAG as SAG, SAGA as SAGA, SVRG as SVRG
    from skopt_dl.solvers.working_set import WorkingSetCD as WorkingSetCD

_HOME = {
    "ADMM": "admm",
    "ALS": "alternating",
    "AMSGrad": "stochastic.adam_variants",
    "ARC": "cubic",
    "ActiveSet": "active_set",
    "AdEMAMix": "stochastic.adam_relatives",
    "AdaBelief": "stochastic.beliefs",
    "AdaDelta": "stochastic.rmsprop",
    "AdaGrad": "stochastic.adagrad",
    "AdaGradNorm": "stochastic.adagrad",
    "AdaHessian": "stochastic.diagonal",
    "Adafactor": "stochastic.adafactor",
    "Adam": "stochastic.adam",
    "AdamW": "stochastic.adam_variants",
    "Adamax": "stochastic.adam_relatives",
    "Adan": "stochastic.adam_relatives",
    "AndersonCD": "anderson",
    "BFGS": "quasi_newton",
    "BKFAC": "stochastic.kfac_variants",
    "BRKFAC": "stochastic.kfac_variants",
    "BacktrackingFISTA": "backtracking_fista",
    "BarzilaiBorwein": "barzilai_borwein",
    "BatchSVRG": "stochastic.snapshots",
    "BlockBFGS": "stochastic.quasi_newton",
    "Cholesky": "direct",
    "ConjugateGradient": "conjugate_gradient",
    "ConsensusADMM": "consensus_admm",
    "CoordinateDescent": "coordinate_descent",
    "HALS": "coordinate_descent",
    "DAdaptation": "stochastic.distance",
    "DGD": "decentralised.gossip",
    "DPSGD": "decentralised.gossip",
    "DoG": "stochastic.distance",
    "DoWG": "stochastic.distance",
    "Downpour": "stochastic.downpour",
    "EKFAC": "stochastic.kfac",
    "EXTRA": "decentralised.exact",
    "FISTA": "proximal_gradient",
    "FrankWolfe": "frank_wolfe",
    "GIANT": "decentralised.giant",
    "GaussNewton": "gauss_newton",
    "GaussNewtonCG": "gauss_newton_cg",
    "Gibbs": "gibbs",
    "GradientDescent": "gradient_descent",
    "GradientTracking": "decentralised.exact",
    "GreedyCD": "greedy_cd",
    "GrowingNesterov": "stochastic.growing_momentum",
    "HessianFree": "hessian_free",
    "IRLS": "irls",
    "ISTA": "proximal_gradient",
    "KFAC": "stochastic.kfac",
    "KLDWRM": "stochastic.kfac_variants",
    "LBFGS": "quasi_newton",
    "LBFGSB": "box_quasi_newton",
    "LSQR": "conjugate_gradient",
    "LevenbergMarquardt": "gauss_newton_cg",
    "LineSearchSGD": "stochastic.polyak",
    "Lion": "stochastic.signs",
    "MajorityVote": "decentralised.gossip",
    "Momentum": "stochastic.sgd",
    "MultiBatchLBFGS": "stochastic.growing",
    "Muon": "stochastic.muon",
    "NAdam": "stochastic.adam_variants",
    "NaturalGradient": "stochastic.natural_gradient",
    "Nesterov": "stochastic.sgd",
    "NewtonCG": "newton",
    "NewtonCholesky": "newton",
    "NewtonConsensus": "decentralised.newton",
    "NonlinearCG": "nonlinear_cg",
    "NystromCG": "nystrom_cg",
    "OnlineBFGS": "stochastic.quasi_newton",
    "PROMISE": "stochastic.promise",
    "MoMo": "stochastic.polyak",
    "PolyakStep": "stochastic.polyak",
    "Prodigy": "stochastic.distance",
    "ProgressiveLBFGS": "stochastic.growing",
    "ProjectedGradient": "proximal_gradient",
    "ProxNewton": "prox_newton",
    "ProximalPoint": "modified_newton",
    "RAdam": "stochastic.adam_variants",
    "RMSprop": "stochastic.rmsprop",
    "RMSpropNesterov": "stochastic.rmsprop",
    "RSKFAC": "stochastic.kfac_variants",
    "RegularizedNewton": "regularized_newton",
    "RiemannianCG": "riemannian",
    "RiemannianTrustRegion": "riemannian_trust_region",
    "SAG": "variance_reduced",
    "SAGA": "variance_reduced",
    "Rprop": "rprop",
    "SAM": "stochastic.sharpness",
    "SAPPHIRE": "stochastic.promise",
    "SDCA": "dual_ascent",
    "SGD": "stochastic.sgd",
    "SOAP": "stochastic.shampoo",
    "SQN": "stochastic.quasi_newton",
    "STORM": "stochastic.storm",
    "SVD": "direct",
    "SVRG": "variance_reduced",
    "SVRGLBFGS": "stochastic.preconditioned",
    "SVT": "svt",
    "SaddleFreeNewton": "modified_newton",
    "ScaledGD": "scaled_gradient",
    "ScheduleFreeAdamW": "stochastic.schedule_free",
    "ScheduleFreeSGD": "stochastic.schedule_free",
    "SdLBFGS": "stochastic.quasi_newton",
    "SemismoothNewton": "semismooth_newton",
    "Shampoo": "stochastic.shampoo",
    "SignSGD": "stochastic.signs",
    "Signum": "stochastic.signs",
    "SketchySGD": "stochastic.preconditioned",
    "SoftImpute": "soft_impute",
    "SoftImputeALS": "alternating",
    "Sophia": "stochastic.diagonal",
    "SpectralADMM": "spectral_admm",
    "Subgradient": "subgradient",
    "SubsampledARC": "cubic",
    "SubsampledNewton": "gauss_newton_cg",
    "SubsampledTrustRegion": "trust_region",
    "TONGA": "stochastic.tonga",
    "TrustRegion": "trust_region",
    "VSGD": "stochastic.own_rates",
    "VariationalBayes": "alternating",
    "WorkingSetCD": "working_set",
    "Yogi": "stochastic.beliefs",
}

__all__ = [*_HOME]
__getattr__, __dir__ = attach(__name__, _HOME)
