"""Frames as they come: nullable types, text among numbers, marks of missing cells, ids; advice."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.exceptions import ConvergenceWarning

from skopt_dl import MatrixCompletion, Ridge
from skopt_dl.matrix_completion import TensorCompletion

RNG = np.random.default_rng(0)
PAIRS = np.argwhere(RNG.random((12, 9)) < 0.6)
VALUES = RNG.standard_normal(len(PAIRS))
FRAME = pd.DataFrame(PAIRS, columns=["user", "item"])
GAPS = pd.DataFrame(
    np.where(RNG.random((15, 3)) < 0.2, np.nan, RNG.standard_normal((15, 3))), columns=list("abc")
)


def model(**parameters):
    return MatrixCompletion(2, fit_bias="both", alpha=0.1, random_state=0, **parameters)


@pytest.mark.parametrize("dtype", ["Int64", "Int32", "UInt8"])
def test_nullable_integers_are_ids(dtype):
    expected = model().fit(PAIRS, VALUES).predict(PAIRS)
    found = model().fit(FRAME.astype(dtype), VALUES)
    np.testing.assert_array_equal(found.predict(FRAME.astype(dtype)), expected)
    three = np.column_stack([PAIRS, PAIRS[:, 0] % 3])
    tensors = [
        TensorCompletion(1, alpha=0.1, random_state=0).fit(X, VALUES).predict(X)
        for X in (three, pd.DataFrame(three).astype(dtype))
    ]
    np.testing.assert_array_equal(*tensors)


def test_polars_integers_are_ids():
    frame = pl.DataFrame({"user": PAIRS[:, 0], "item": PAIRS[:, 1]})
    found = model().fit(frame, VALUES).predict(frame)
    np.testing.assert_array_equal(found, model().fit(PAIRS, VALUES).predict(PAIRS))
    holes = pl.DataFrame({"user": [0, None, 2], "item": [0, 1, 2]})
    with pytest.raises(ValueError, match=r"pairs .row, column. contain NaN.*drop those entries"):
        model().fit(holes, VALUES[:3])


def test_a_missing_id_is_refused_by_its_row():
    X = FRAME.astype("Int64")
    X.iloc[4, 1] = pd.NA
    for given in ("auto", "pairs"):
        with pytest.raises(ValueError, match="no id in 1 rows, of which 4 is the first; drop"):
            model(input=given).fit(X, VALUES)


@pytest.mark.parametrize(
    "values",
    [
        np.where(VALUES > 1, np.nan, VALUES),
        pd.Series(VALUES).astype("Float64").mask(VALUES > 1),
        np.full(len(VALUES), "three stars"),
    ],
    ids=["nan", "na", "text"],
)
def test_values_that_are_missing_or_no_numbers_are_refused_with_the_way_out(values):
    with pytest.raises(ValueError, match=r"y holds the values of the pairs.*drop the pairs"):
        model().fit(PAIRS, values)


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(["red"] * 15),
        pd.Categorical(list("uvw") * 5),
        pd.date_range("2020", periods=15),
        pd.Series([1, "x", None] * 5, dtype=object),
    ],
    ids=["text", "categories", "dates", "mixed"],
)
def test_columns_that_are_no_numbers_are_named(column):
    X = GAPS.assign(colour=column)
    with pytest.raises((ValueError, TypeError), match=r"columns \['colour'\] do not.*OneHotEnc"):
        MatrixCompletion().fit(X)
    with pytest.raises((ValueError, TypeError), match=r"Ridge: .*\['colour'\] do not.*leave them"):
        Ridge().fit(X.assign(**GAPS.fillna(0.0)), np.zeros(15))
    fitted = MatrixCompletion(1).fit(GAPS.assign(colour=1.0))
    with pytest.raises((ValueError, TypeError), match=r"columns \['colour'\] do not"):
        fitted.transform(X)


def test_objects_with_none_and_nullable_numbers_are_numbers():
    expected = MatrixCompletion(1, random_state=0).fit_transform(GAPS)
    none = GAPS.astype(object).where(GAPS.notna(), None)
    frames = [none, GAPS.astype("Float64"), pl.from_pandas(GAPS)]
    for X in frames:
        found = MatrixCompletion(1, random_state=0).fit_transform(X)
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_nan_beside_another_mark_is_refused_with_both_ways_out():
    whole = GAPS.fillna(-9.0)
    marked = MatrixCompletion(1, missing_values=-9.0, random_state=0)
    np.testing.assert_allclose(
        marked.fit_transform(whole), MatrixCompletion(1, random_state=0).fit_transform(GAPS)
    )
    way_out = r"missing_values=-9.0\) takes nothing else.*missing_values=nan"
    with pytest.raises(ValueError, match=way_out):
        MatrixCompletion(1, missing_values=-9.0).fit(GAPS)
    with pytest.raises(ValueError, match=way_out):
        marked.transform(GAPS)
    with pytest.raises(ValueError, match=r"missing_values='\?'.*replaced by nan before"):
        MatrixCompletion(1, missing_values="?").fit(GAPS)


def test_two_integer_columns_with_a_target_say_what_they_were_taken_for():
    with pytest.raises(ValueError, match="use input='matrix'"):
        model().fit(PAIRS, VALUES).transform(PAIRS)


def low_rank(noise=0.0, share=0.6, m=40, n=30):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((m, 2)) @ rng.standard_normal((2, n))
    X += noise * rng.standard_normal((m, n))
    return np.where(rng.random((m, n)) < share, X, np.nan)


def test_a_fit_at_rounding_names_the_tolerance_that_it_reaches():
    def fitted(tol):
        model = MatrixCompletion(2, alpha=0, tol=tol, random_state=0)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(low_rank())
        return [str(w.message) for w in caught]

    (message,) = fitted(1e-20)
    assert "fitted to rounding" in message
    reached = float(re.search(r"tol=(\S+) would do", message).group(1))
    assert 1e-20 < reached < 1e-11 and fitted(reached) == []


@pytest.mark.parametrize("solver", ["auto", "irls", "als"])
def test_entries_that_no_matrix_of_the_rank_has_get_advice(solver):
    model = MatrixCompletion(2, alpha=0, tol=1e-14, max_iter=4, solver=solver, random_state=0)
    with pytest.warns(ConvergenceWarning, match="of rank 2 that was found misses") as caught:
        model.fit(low_rank(noise=0.5))
    message = str(caught[0].message)
    assert "n_init=6" in message and "n_components" in message and "alpha='auto'" in message
    # 40 x 30 of rank 2: 136 degrees of freedom.
    entries = np.sum(~np.isnan(low_rank()))
    assert f"{entries / 136:.2g} times" in message
    with pytest.warns(ConvergenceWarning, match="Increase max_iter") as caught:
        model.set_params(alpha=1e-4, solver="als", max_iter=1).fit(low_rank(noise=0.5))
    assert "n_init" not in str(caught[0].message)


@pytest.mark.parametrize("solver", ["auto", "irls", "gauss_newton", "als"])
def test_an_exact_fit_is_the_last_start(solver, monkeypatch):
    made, attempt = [], MatrixCompletion._attempt

    def counting(self, problem, **settings):
        made.append(settings["part"])
        return attempt(self, problem, **settings)

    monkeypatch.setattr(MatrixCompletion, "_attempt", counting)
    model = MatrixCompletion(2, alpha=0, n_init=4, solver=solver, random_state=0)
    model.set_params(tol=1e-6).fit(low_rank())
    assert made == [(0, 4)]
    # Entries with noise are met by none, and a penalty has no exact fit.
    made.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.set_params(max_iter=5).fit(low_rank(noise=0.5))
    assert len(made) == 4
    made.clear()
    model.set_params(alpha=1e-3, solver="als", max_iter=None).fit(low_rank())
    assert len(made) == 4
