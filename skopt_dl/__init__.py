"""skopt_dl"""
from skopt_dl._version import __version__
