"""Penalties and constraint sets: value, prox, conjugate."""

from skopt_dl.penalties.base import Penalty
from skopt_dl.penalties.elastic_net import L1, ElasticNet
from skopt_dl.penalties.l1_ball import L1Ball
from skopt_dl.penalties.l2 import L2

__all__ = ["L1", "L2", "ElasticNet", "L1Ball", "Penalty"]
