"""Names of solvers, losses, penalties and activations: lazy, open to entry points, no surprises.

A row is ``name: "module:Class"``; nothing is imported before its name is used. Third parties add
theirs by `register` or by an entry point of the group ``skopt_dl.solvers``, ``skopt_dl.losses``,
``skopt_dl.penalties`` or ``skopt_dl.activations``, which is looked at on the first unknown name or
full listing.
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from skopt_dl.activations import Activation
from skopt_dl.engine import Solver
from skopt_dl.losses import Loss
from skopt_dl.penalties import Penalty


class UnknownNameError(ValueError):
    """A name that is registered nowhere; the message has the closest ones."""


class Registry:
    """Names of one kind of part.

    Parameters
    ----------
    kind : str
        "solver", "loss", "penalty" or "activation": for messages and the entry-point group.
    base : type
        What every registered class must be a subclass of.
    rows : dict of str to str
        The built-in ``name: "module:Class"``.
    aliases : dict of str to str
        Other names for the same class: ``alias: name``.
    """

    def __init__(
        self, kind: str, base: type, rows: dict[str, str], aliases: dict[str, str] | None = None
    ) -> None:
        self.kind, self.base = kind, base
        self._rows: dict[str, Any] = dict(rows)
        self._aliases = dict(aliases or {})
        self._searched_entry_points = False
        # Rows of other packages that cannot be imported.
        self._broken: set[str] = set()

    def add(self, name: str, target: Any, *, replace: bool = False) -> None:
        """Register ``target``, a class or a factory of instances, under ``name``.

        Raises
        ------
        ValueError
            If the name is taken and ``replace`` is false.
        TypeError
            If ``target`` is a class of another kind.
        """
        if isinstance(target, type) and not issubclass(target, self.base):
            raise TypeError(
                f"cannot register {target.__name__} as the {self.kind} {name!r}: it must be a "
                f"subclass of {self.base.__name__}"
            )
        if not replace and (name in self._rows or name in self._aliases):
            raise ValueError(
                f"the {self.kind} name {name!r} is taken; choose another or pass replace=True"
            )
        self._aliases.pop(name, None)
        self._rows[name] = target

    def remove(self, name: str) -> None:
        """Forget a registered name."""
        del self._rows[name]

    def names(self) -> list[str]:
        """Every registered name without the aliases, those of entry points included."""
        self._search_entry_points()
        return sorted(self._rows)

    def aliases(self) -> dict[str, str]:
        """``{alias: name}``."""
        return dict(self._aliases)

    def get(self, name: str) -> Any:
        """The class (or factory) registered under ``name``.

        Raises
        ------
        UnknownNameError
            With the closest names.
        """
        name = self._aliases.get(name, name)
        if name not in self._rows:
            self._search_entry_points()
        if name not in self._rows:
            known = sorted([*self._rows, *self._aliases])
            close = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise UnknownNameError(
                f"unknown {self.kind} {name!r}.{hint} Known: {', '.join(map(repr, known))}."
            )
        target = self._rows[name]
        if isinstance(target, str):
            target = self._rows[name] = self._load(name, target)
        return target

    def parts(self) -> Iterator[tuple[str, Any]]:
        """``(name, class)`` of all that can be imported.

        A package that is broken must not take the parts of all others with it: what it registered
        by an entry point is left out, with one warning.
        """
        for name in self.names():
            if name in self._broken:
                continue
            try:
                part = self.get(name)
            except ImportError as error:
                self._broken.add(name)
                warnings.warn(f"left out: {error}", RuntimeWarning, stacklevel=2)
            else:
                yield name, part

    def _load(self, name: str, target: str) -> Any:
        module, _, attribute = target.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise ImportError(
                f"the {self.kind} {name!r} is registered as {target!r}, which cannot be imported: "
                f"{error}"
            ) from error

    def name_of(self, target: Any) -> str:
        """The name under which an instance's class is registered, else the class's own name."""
        path = f"{type(target).__module__}:{type(target).__qualname__}"
        for name, row in self._rows.items():
            if row is type(target) or row == path:
                return name
        return type(target).__name__

    def _search_entry_points(self) -> None:
        if self._searched_entry_points:
            return
        self._searched_entry_points = True
        plural = {"loss": "losses", "penalty": "penalties"}.get(self.kind, f"{self.kind}s")
        for point in entry_points(group=f"skopt_dl.{plural}"):
            if point.name not in self._rows:
                self._rows[point.name] = point.value


SOLVERS = Registry(
    "solver",
    Solver,
    {
        "active_set": "skopt_dl.solvers.active_set:ActiveSet",
        "adabelief": "skopt_dl.solvers.stochastic.beliefs:AdaBelief",
        "adadelta": "skopt_dl.solvers.stochastic.rmsprop:AdaDelta",
        "adafactor": "skopt_dl.solvers.stochastic.adafactor:Adafactor",
        "adagrad": "skopt_dl.solvers.stochastic.adagrad:AdaGrad",
        "adagrad_norm": "skopt_dl.solvers.stochastic.adagrad:AdaGradNorm",
        "adahessian": "skopt_dl.solvers.stochastic.diagonal:AdaHessian",
        "adam": "skopt_dl.solvers.stochastic.adam:Adam",
        "adamax": "skopt_dl.solvers.stochastic.adam_relatives:Adamax",
        "adamw": "skopt_dl.solvers.stochastic.adam_variants:AdamW",
        "adan": "skopt_dl.solvers.stochastic.adam_relatives:Adan",
        "ademamix": "skopt_dl.solvers.stochastic.adam_relatives:AdEMAMix",
        "admm": "skopt_dl.solvers.admm:ADMM",
        "als": "skopt_dl.solvers.alternating:ALS",
        "amsgrad": "skopt_dl.solvers.stochastic.adam_variants:AMSGrad",
        "anderson_cd": "skopt_dl.solvers.anderson:AndersonCD",
        "arc": "skopt_dl.solvers.cubic:ARC",
        "b_kfac": "skopt_dl.solvers.stochastic.kfac_variants:BKFAC",
        "b_r_kfac": "skopt_dl.solvers.stochastic.kfac_variants:BRKFAC",
        "barzilai_borwein": "skopt_dl.solvers.barzilai_borwein:BarzilaiBorwein",
        "batch_svrg": "skopt_dl.solvers.stochastic.snapshots:BatchSVRG",
        "bfgs": "skopt_dl.solvers.quasi_newton:BFGS",
        "block_bfgs": "skopt_dl.solvers.stochastic.quasi_newton:BlockBFGS",
        "cd": "skopt_dl.solvers.coordinate_descent:CoordinateDescent",
        "cg": "skopt_dl.solvers.conjugate_gradient:ConjugateGradient",
        "consensus_admm": "skopt_dl.solvers.consensus_admm:ConsensusADMM",
        "cholesky": "skopt_dl.solvers.direct:Cholesky",
        "d_adaptation": "skopt_dl.solvers.stochastic.distance:DAdaptation",
        "d_psgd": "skopt_dl.solvers.decentralised.gossip:DPSGD",
        "dgd": "skopt_dl.solvers.decentralised.gossip:DGD",
        "dog": "skopt_dl.solvers.stochastic.distance:DoG",
        "dowg": "skopt_dl.solvers.stochastic.distance:DoWG",
        "downpour": "skopt_dl.solvers.stochastic.downpour:Downpour",
        "ekfac": "skopt_dl.solvers.stochastic.kfac:EKFAC",
        "extra": "skopt_dl.solvers.decentralised.exact:EXTRA",
        "fista": "skopt_dl.solvers.proximal_gradient:FISTA",
        "fista_backtracking": "skopt_dl.solvers.backtracking_fista:BacktrackingFISTA",
        "frank_wolfe": "skopt_dl.solvers.frank_wolfe:FrankWolfe",
        "gauss_newton": "skopt_dl.solvers.gauss_newton:GaussNewton",
        "gauss_newton_cg": "skopt_dl.solvers.gauss_newton_cg:GaussNewtonCG",
        "giant": "skopt_dl.solvers.decentralised.giant:GIANT",
        "gibbs": "skopt_dl.solvers.gibbs:Gibbs",
        "gradient_descent": "skopt_dl.solvers.gradient_descent:GradientDescent",
        "gradient_tracking": "skopt_dl.solvers.decentralised.exact:GradientTracking",
        "greedy_cd": "skopt_dl.solvers.greedy_cd:GreedyCD",
        "growing_nesterov": "skopt_dl.solvers.stochastic.growing_momentum:GrowingNesterov",
        "hals": "skopt_dl.solvers.coordinate_descent:HALS",
        "hessian_free": "skopt_dl.solvers.hessian_free:HessianFree",
        "irls": "skopt_dl.solvers.irls:IRLS",
        "ista": "skopt_dl.solvers.proximal_gradient:ISTA",
        "kfac": "skopt_dl.solvers.stochastic.kfac:KFAC",
        "kld_wrm": "skopt_dl.solvers.stochastic.kfac_variants:KLDWRM",
        "lbfgs": "skopt_dl.solvers.quasi_newton:LBFGS",
        "lbfgsb": "skopt_dl.solvers.box_quasi_newton:LBFGSB",
        "levenberg_marquardt": "skopt_dl.solvers.gauss_newton_cg:LevenbergMarquardt",
        "line_search_sgd": "skopt_dl.solvers.stochastic.polyak:LineSearchSGD",
        "lion": "skopt_dl.solvers.stochastic.signs:Lion",
        "lsqr": "skopt_dl.solvers.conjugate_gradient:LSQR",
        "majority_vote": "skopt_dl.solvers.decentralised.gossip:MajorityVote",
        "momentum": "skopt_dl.solvers.stochastic.sgd:Momentum",
        "multibatch_lbfgs": "skopt_dl.solvers.stochastic.growing:MultiBatchLBFGS",
        "muon": "skopt_dl.solvers.stochastic.muon:Muon",
        "nadam": "skopt_dl.solvers.stochastic.adam_variants:NAdam",
        "natural_gradient": "skopt_dl.solvers.stochastic.natural_gradient:NaturalGradient",
        "nesterov": "skopt_dl.solvers.stochastic.sgd:Nesterov",
        "newton_cg": "skopt_dl.solvers.newton:NewtonCG",
        "newton_cholesky": "skopt_dl.solvers.newton:NewtonCholesky",
        "newton_consensus": "skopt_dl.solvers.decentralised.newton:NewtonConsensus",
        "nonlinear_cg": "skopt_dl.solvers.nonlinear_cg:NonlinearCG",
        "nystrom_cg": "skopt_dl.solvers.nystrom_cg:NystromCG",
        "online_bfgs": "skopt_dl.solvers.stochastic.quasi_newton:OnlineBFGS",
        "momo": "skopt_dl.solvers.stochastic.polyak:MoMo",
        "polyak_step": "skopt_dl.solvers.stochastic.polyak:PolyakStep",
        "prodigy": "skopt_dl.solvers.stochastic.distance:Prodigy",
        "progressive_lbfgs": "skopt_dl.solvers.stochastic.growing:ProgressiveLBFGS",
        "projected_gradient": "skopt_dl.solvers.proximal_gradient:ProjectedGradient",
        "promise": "skopt_dl.solvers.stochastic.promise:PROMISE",
        "prox_newton": "skopt_dl.solvers.prox_newton:ProxNewton",
        "proximal_point": "skopt_dl.solvers.modified_newton:ProximalPoint",
        "radam": "skopt_dl.solvers.stochastic.adam_variants:RAdam",
        "regularized_newton": "skopt_dl.solvers.regularized_newton:RegularizedNewton",
        "riemannian_cg": "skopt_dl.solvers.riemannian:RiemannianCG",
        "riemannian_trust_region": (
            "skopt_dl.solvers.riemannian_trust_region:RiemannianTrustRegion"
        ),
        "rmsprop": "skopt_dl.solvers.stochastic.rmsprop:RMSprop",
        "rmsprop_nesterov": "skopt_dl.solvers.stochastic.rmsprop:RMSpropNesterov",
        "rprop": "skopt_dl.solvers.rprop:Rprop",
        "rs_kfac": "skopt_dl.solvers.stochastic.kfac_variants:RSKFAC",
        "saddle_free_newton": "skopt_dl.solvers.modified_newton:SaddleFreeNewton",
        "sag": "skopt_dl.solvers.variance_reduced:SAG",
        "saga": "skopt_dl.solvers.variance_reduced:SAGA",
        "sam": "skopt_dl.solvers.stochastic.sharpness:SAM",
        "sapphire": "skopt_dl.solvers.stochastic.promise:SAPPHIRE",
        "scaled_gd": "skopt_dl.solvers.scaled_gradient:ScaledGD",
        "schedule_free_adamw": "skopt_dl.solvers.stochastic.schedule_free:ScheduleFreeAdamW",
        "schedule_free_sgd": "skopt_dl.solvers.stochastic.schedule_free:ScheduleFreeSGD",
        "sdca": "skopt_dl.solvers.dual_ascent:SDCA",
        "sdlbfgs": "skopt_dl.solvers.stochastic.quasi_newton:SdLBFGS",
        "semismooth_newton": "skopt_dl.solvers.semismooth_newton:SemismoothNewton",
        "sgd": "skopt_dl.solvers.stochastic.sgd:SGD",
        "shampoo": "skopt_dl.solvers.stochastic.shampoo:Shampoo",
        "sign_sgd": "skopt_dl.solvers.stochastic.signs:SignSGD",
        "signum": "skopt_dl.solvers.stochastic.signs:Signum",
        "sketchy_sgd": "skopt_dl.solvers.stochastic.preconditioned:SketchySGD",
        "soap": "skopt_dl.solvers.stochastic.shampoo:SOAP",
        "soft_impute": "skopt_dl.solvers.soft_impute:SoftImpute",
        "soft_impute_als": "skopt_dl.solvers.alternating:SoftImputeALS",
        "sophia": "skopt_dl.solvers.stochastic.diagonal:Sophia",
        "spectral_admm": "skopt_dl.solvers.spectral_admm:SpectralADMM",
        "sqn": "skopt_dl.solvers.stochastic.quasi_newton:SQN",
        "storm": "skopt_dl.solvers.stochastic.storm:STORM",
        "subgradient": "skopt_dl.solvers.subgradient:Subgradient",
        "subsampled_arc": "skopt_dl.solvers.cubic:SubsampledARC",
        "subsampled_newton": "skopt_dl.solvers.gauss_newton_cg:SubsampledNewton",
        "subsampled_trust_region": "skopt_dl.solvers.trust_region:SubsampledTrustRegion",
        "svd": "skopt_dl.solvers.direct:SVD",
        "svrg": "skopt_dl.solvers.variance_reduced:SVRG",
        "svrg_lbfgs": "skopt_dl.solvers.stochastic.preconditioned:SVRGLBFGS",
        "svt": "skopt_dl.solvers.svt:SVT",
        "tonga": "skopt_dl.solvers.stochastic.tonga:TONGA",
        "trust_region": "skopt_dl.solvers.trust_region:TrustRegion",
        "working_set": "skopt_dl.solvers.working_set:WorkingSetCD",
        "vb": "skopt_dl.solvers.alternating:VariationalBayes",
        "vsgd": "skopt_dl.solvers.stochastic.own_rates:VSGD",
        "yogi": "skopt_dl.solvers.stochastic.beliefs:Yogi",
    },
    aliases={
        "gd": "gradient_descent",
        "liblinear": "prox_newton",
        "newton-cg": "newton_cg",
        "newton-cholesky": "newton_cholesky",
        "proximal_gradient": "ista",
        "sparse_cg": "cg",
    },
)
LOSSES = Registry(
    "loss",
    Loss,
    {
        "huber": "skopt_dl.losses.huber:Huber",
        "logistic": "skopt_dl.losses.logistic:Logistic",
        "multinomial": "skopt_dl.losses.logistic:Multinomial",
        "poisson": "skopt_dl.losses.poisson:Poisson",
        "quantile": "skopt_dl.losses.quantile:Quantile",
        "squared": "skopt_dl.losses.squared:Squared",
        "squared_hinge": "skopt_dl.losses.squared_hinge:SquaredHinge",
    },
)
PENALTIES = Registry(
    "penalty",
    Penalty,
    {
        "box": "skopt_dl.penalties.box:Box",
        "elastic_net": "skopt_dl.penalties.elastic_net:ElasticNet",
        "group_lasso": "skopt_dl.penalties.group_lasso:GroupLasso",
        "l1": "skopt_dl.penalties.elastic_net:L1",
        "l1_ball": "skopt_dl.penalties.l1_ball:L1Ball",
        "l2": "skopt_dl.penalties.l2:L2",
        "mcp": "skopt_dl.penalties.concave:MCP",
        "scad": "skopt_dl.penalties.concave:SCAD",
        "simplex": "skopt_dl.penalties.simplex:Simplex",
        "slope": "skopt_dl.penalties.slope:SLOPE",
    },
)

ACTIVATIONS = Registry(
    "activation",
    Activation,
    {
        "elu": "skopt_dl.activations.rectified:ELU",
        "gelu": "skopt_dl.activations.smooth:GELU",
        "identity": "skopt_dl.activations.sigmoid:Identity",
        "leaky_relu": "skopt_dl.activations.rectified:LeakyReLU",
        "logistic": "skopt_dl.activations.sigmoid:Logistic",
        "mish": "skopt_dl.activations.smooth:Mish",
        "relu": "skopt_dl.activations.rectified:ReLU",
        "selu": "skopt_dl.activations.rectified:SELU",
        "silu": "skopt_dl.activations.smooth:SiLU",
        "softplus": "skopt_dl.activations.sigmoid:Softplus",
        "tanh": "skopt_dl.activations.sigmoid:Tanh",
    },
    aliases={"swish": "silu"},
)


def register(name: str, part: Any, *, replace: bool = False) -> None:
    """Make a solver, loss, penalty or activation of your own known by name.

    Parameters
    ----------
    name : str
        The name that ``solver=``, ``loss=``, ``penalty=`` or ``activation=`` will take.
    part : type
        A subclass of `Solver`, `Loss`, `Penalty` or `Activation`.
    replace : bool
        Allow a name that is taken.

    Raises
    ------
    TypeError
        If ``part`` is none of the four.
    ValueError
        If the name is taken.
    """
    for registry in (SOLVERS, LOSSES, PENALTIES, ACTIVATIONS):
        if isinstance(part, type) and issubclass(part, registry.base):
            registry.add(name, part, replace=replace)
            return
    raise TypeError(
        f"register({name!r}): expected a subclass of Solver, Loss, Penalty or Activation, got "
        f"{part!r}"
    )
