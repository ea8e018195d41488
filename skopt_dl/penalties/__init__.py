"""Penalties and constraint sets: value, prox, conjugate."""

from skopt_dl.penalties.base import Penalty
from skopt_dl.penalties.box import Box
from skopt_dl.penalties.concave import MCP, SCAD
from skopt_dl.penalties.elastic_net import L1, ElasticNet
from skopt_dl.penalties.group_lasso import GroupLasso
from skopt_dl.penalties.l1_ball import L1Ball
from skopt_dl.penalties.l2 import L2
from skopt_dl.penalties.row_elastic_net import RowElasticNet
from skopt_dl.penalties.simplex import Simplex
from skopt_dl.penalties.slope import SLOPE

__all__ = [
    "L1",
    "L2",
    "MCP",
    "SCAD",
    "SLOPE",
    "Box",
    "ElasticNet",
    "GroupLasso",
    "L1Ball",
    "Penalty",
    "RowElasticNet",
    "Simplex",
]
