"""Every parameter, attribute and method of the Dask estimators is documented."""

from __future__ import annotations

import inspect
import re
import warnings
from typing import Any

import numpy as np
import pytest

da = pytest.importorskip("dask.array")
import skopt_dl.dask as ours  # noqa: E402


def names(text: str, section: str) -> set[str]:
    """What a section of a docstring names: ``name, name : type``, or without a type."""
    body = re.split(rf"{section}\n-+\n", inspect.cleandoc(text))[1]
    body = re.split(r"\n\n\w+\n-+\n", body)[0]
    heads = re.findall(r"^(\w[\w, ]*?)(?: :.*)?$", body, re.M)
    return {name.strip() for head in heads for name in head.split(",")}


def fitted(name: str) -> Any:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 4))
    y: Any = X[:, 0] + 0.1 * rng.standard_normal(60)
    small = {"MLPClassifier": {"max_iter": 1}, "MLPRegressor": {"max_iter": 1}}
    model = getattr(ours, name)(**small.get(name, {}))
    blocks = da.from_array(X, chunks=(20, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name == "MatrixCompletion":
            return model.set_params(max_iter=2).fit(blocks)
        labels = name in ("LogisticRegression", "MLPClassifier")
        return model.fit(blocks, (y > 0).astype(int) if labels else y)


@pytest.mark.parametrize("name", ours.__all__)
def test_parameters_and_attributes(name: str) -> None:
    kind = getattr(ours, name)
    assert names(kind.__doc__, "Parameters") == set(inspect.signature(kind).parameters)
    model = fitted(name)
    public = {a for a in vars(model) if a.endswith("_") and not a.startswith("_")}
    assert public <= names(kind.__doc__, "Attributes")


@pytest.mark.parametrize("name", ours.__all__)
def test_methods(name: str) -> None:
    kind = getattr(ours, name)
    methods = [
        (key, member)
        for key, member in inspect.getmembers(kind, inspect.isfunction)
        if not key.startswith("_") and member.__module__.startswith("skopt_dl.dask")
    ]
    assert {"fit", "to_local"} <= {key for key, _ in methods}
    for key, member in methods:
        given = set(inspect.signature(member).parameters) - {"self"}
        documented = names(member.__doc__, "Parameters") if given else set()
        assert documented == given, f"{name}.{key}"
        assert "Returns\n" in inspect.cleandoc(member.__doc__), f"{name}.{key}"
