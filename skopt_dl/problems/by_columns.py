"""What a linear problem offers to methods that work on its columns."""

from __future__ import annotations

from typing import Any

from skopt_dl.engine import Oracle, offers
from skopt_dl.linops import along_rows
from skopt_dl.penalties import ElasticNet
from skopt_dl.problems.blocks import BlockModel
from skopt_dl.problems.coordinates import CoordinateModel
from skopt_dl.problems.curvature import loss_hessian
from skopt_dl.problems.dense_model import DenseModel
from skopt_dl.problems.entries import EntryModel
from skopt_dl.problems.reasons import (
    models_entries,
    no_coordinates,
    no_quadratic_model,
    no_screening,
    no_violations,
    no_working_set,
)
from skopt_dl.problems.residual_system import ResidualSystem
from skopt_dl.problems.rows import RowModel
from skopt_dl.problems.screening import Screening
from skopt_dl.problems.second_order import SecondOrderModel
from skopt_dl.problems.working_set import WorkingSet


class ByColumns:
    """The oracles of a `LinearProblem` that read columns."""

    @offers(Oracle.COORDS, lacks=no_coordinates)
    def coordinates(self: Any, w: Any) -> CoordinateModel | RowModel | BlockModel:
        """The whole objective seen by coordinates, rows or blocks, working in place on ``w``."""
        h = self.loss.smoothness * self.omega
        # The raw columns see the uncentred residual; c keeps the means, here and from now on.
        z = self.known_at(w)[0]
        if z is None and self.xp.any(w != 0):
            z = self.predict_raw(w)
        r = self.y if z is None else self.y - z
        return self._column_model()(
            self.base,
            w,
            along_rows(h, r),
            h,
            centre=self.centred,
            penalty=self.penalty,
            kernels=self.kernels,
        )

    def _column_model(self: Any) -> type[CoordinateModel | RowModel | BlockModel]:
        if self.y.ndim != 1:
            return RowModel
        return CoordinateModel if hasattr(self.penalty, "prox_coordinate") else BlockModel

    @offers(Oracle.VIOLATIONS, lacks=no_violations)
    def violations(self: Any, model: CoordinateModel | RowModel | BlockModel) -> Any:
        """How far each coordinate of ``model`` is from its optimum: one product with X.

        It is the minimal subgradient over the root of the Lipschitz constant: its square is twice
        what a step promises at least.
        """
        return model.violations(self.penalty.distance)

    @offers(Oracle.SCREENING, lacks=no_screening)
    def screening(self: Any) -> Screening:
        """What is known of the columns that are zero at the optimum; nothing yet."""
        return Screening(self)

    def restricted(self: Any, columns: Any) -> Any:
        """The same problem on chosen columns, the others at zero."""
        l1, l2, positive = self.penalty.elastic_net(self.n_coef, self.xp, self.dtype, self.device)
        take = self.xp.take
        return type(self)(
            self.base.take_columns(columns),
            self.y,
            self.loss,
            ElasticNet(take(l1, columns), take(l2, columns), positive),
            sample_weight=self.omega,
            fit_intercept=self.fit_intercept,
            criterion=self.criterion,
            scale=self.scale,
            description=lambda: f"{int(columns.shape[0])} columns of {self.description}",
        )

    @offers(Oracle.WORKING_SET, lacks=no_working_set)
    def working_set(self: Any) -> WorkingSet:
        """The whole objective on chosen columns, by their inner products."""
        l1, l2, positive = self.penalty.elastic_net(self.size, self.xp, self.dtype, self.device)
        return WorkingSet(
            self.map,
            self.base,
            self.loss.smoothness * self.omega,
            self.y,
            l1=l1,
            l2=l2,
            positive=positive,
            kernels=self.kernels,
            gradient=lambda: self.at_zero()[1],
        )

    @offers(Oracle.NEWTON_SYSTEM, lacks=no_working_set)
    def residual_system(self: Any) -> ResidualSystem:
        """The loss as a squared residual, with the linear systems of its dual."""
        return ResidualSystem(self)

    @offers(Oracle.QUADRATIC_MODEL, lacks=no_quadratic_model)
    def quadratic_model(
        self: Any, w: Any, damping: float = 1.0
    ) -> SecondOrderModel | EntryModel | DenseModel:
        """The second-order model of the loss at ``w`` plus the penalty, seen by coordinates.

        Its curvature is multiplied by ``damping``. Several outputs bend together: their model is
        made of the Hessian, or by the entries of sparse columns.
        """
        if self.y.ndim == 1:
            return SecondOrderModel(self, w, damping)
        if models_entries(self):
            return EntryModel(self, w, damping)
        z = self.predict_raw(w)
        # Scores of a sample may all move alike, which the Hessian does not see: with the digits of
        # float32 that direction could not be told from a flat one.
        H = damping * loss_hessian(self, self.xp.astype(z, self.xp.float64, copy=False))
        return DenseModel(self, w, self.loss_value(z), self.loss_grad(z), H)
