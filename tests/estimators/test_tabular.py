"""Networks for raw tables: frames with categories and gaps in, calibrated answers out."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.metrics import log_loss as reference_log_loss
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from skopt_dl import TableEncoder, TabularMLPClassifier, TabularMLPRegressor
from skopt_dl.activations import SELU, Parametric
from skopt_dl.neural_network._numbers import edges_of
from skopt_dl.neural_network.held_out import (
    fitted_share,
    fitted_sharpness,
    fitted_temperature,
    parts,
    seen_by_two,
    sharpened,
)
from skopt_dl.solvers import Adam

QUICK: dict[str, Any] = {
    "hidden_layer_sizes": (16,),
    "learning_rate_init": 0.02,
    "max_iter": 15,
    "n_ensemble": 2,
    "random_state": 0,
}


def passengers(n: int = 200, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Numbers with gaps, text, a categorical type, a constant and an empty column."""
    rng = np.random.default_rng(seed)
    sex = rng.choice(["male", "female"], n)
    pclass = rng.integers(1, 4, n)
    age = rng.gamma(4, 8, n)
    logit = 6 * (sex == "female") - 1.5 * pclass - 0.02 * age + 1
    survived = rng.random(n) < 1 / (1 + np.exp(-logit))
    frame = pd.DataFrame(
        {
            "age": np.where(rng.random(n) < 0.2, np.nan, age),
            "fare": rng.lognormal(3, 1, n),
            "sex": sex,
            "port": pd.Categorical(rng.choice(["S", "C", "Q"], n)),
            "pclass": pclass,
            "ship": 1.0,
            "cabin": np.full(n, np.nan),
        }
    )
    frame.loc[::17, "port"] = None
    return frame, np.where(survived, "yes", "no")


# --- the encoding -----------------------------------------------------------------------------


def test_a_frame_becomes_the_columns_that_their_names_say() -> None:
    frame, _ = passengers()
    encoder = TableEncoder().fit(frame)
    names = list(encoder.get_feature_names_out())
    assert names[:4] == ["age", "fare", "pclass", "age_missing"]
    assert {"port_C", "port_Q", "port_S", "port_missing"} < set(names)
    assert not any(name.startswith(("ship", "cabin")) for name in names)
    rows = pd.DataFrame(encoder.transform(frame), columns=names)
    assert rows.shape[0] == 200 and bool(np.isfinite(rows).all(axis=None))
    assert ((rows["age_missing"] == 1) == frame["age"].isna()).all()
    assert (rows["port_C"] == (frame["port"] == "C")).all()
    assert set(rows[next(n for n in names if n.startswith("sex"))]) == {-1.0, 1.0}


def test_numbers_are_scaled_by_quartiles_and_clipped_smoothly() -> None:
    x = np.append(np.linspace(0.0, 4.0, 401), 1e6)[:, None]
    z = TableEncoder(clip=3.0, dtype="float64").fit_transform(x)[:, 0]
    q1, m, q3 = np.percentile(x, [25, 50, 75])
    u = (x[:, 0] - m) / (q3 - q1)
    np.testing.assert_allclose(z, u / np.sqrt(1 + (u / 3) ** 2), rtol=1e-14)
    assert z[-1] < 3 and np.all(np.diff(z) > 0)


def test_pandas_polars_and_lists_are_encoded_alike() -> None:
    frame, _ = passengers()
    frame = frame.drop(columns=["cabin"])
    other = pl.DataFrame(
        {
            c: pl.Series(frame[c].astype(object).where(frame[c].notna(), None).tolist())
            for c in frame
        }
    ).with_columns(pl.col("port").cast(pl.Categorical))
    rows = [[None if pd.isna(v) else v for v in row] for row in frame.astype(object).to_numpy()]
    encoder = TableEncoder().fit(frame)
    expected = encoder.transform(frame)
    np.testing.assert_array_equal(encoder.transform(other), expected)
    np.testing.assert_array_equal(TableEncoder().fit_transform(other), expected)
    np.testing.assert_array_equal(TableEncoder().fit_transform(rows), expected)


def test_unknown_levels_are_zeros_and_gaps_without_a_level_too() -> None:
    X = [["a", "u"], ["b", "v"], ["c", "u"], ["a", "v"]]
    encoder = TableEncoder().fit(X)
    assert encoder.levels_ == [["a", "b", "c"], ["u", "v"]]
    np.testing.assert_array_equal(encoder.transform([["new", "w"], [None, "u"]])[0], 0)
    np.testing.assert_array_equal(encoder.transform([[None, "u"]])[0], [0, 0, 0, -1])


def test_many_levels_get_a_code_of_signs_that_depends_on_the_level_alone() -> None:
    many = np.array([[f"level {k}"] for k in range(40) for _ in range(k + 1)], dtype=object)
    encoder = TableEncoder(max_levels=10, n_codes=24, dtype="float64")
    rows = encoder.fit_transform(many)
    assert rows.shape[1] == 25
    assert set(np.unique(rows[:, :24])) == {-1.0, 1.0}
    assert np.unique(rows[:, :24], axis=0).shape[0] == 40
    # The last column grows with the frequency.
    assert np.all(np.diff(rows[:, 24]) >= 0)
    again = TableEncoder(max_levels=10, n_codes=24, dtype="float64").fit_transform(many[200:])
    np.testing.assert_array_equal(again[:, :24], rows[200:, :24])
    np.testing.assert_array_equal(encoder.transform([["level 99"]]), 0)


def test_bins_say_where_a_number_lies() -> None:
    x = np.arange(101.0)[:, None]
    encoder = TableEncoder(numerical_embedding="piecewise_linear", n_bins=4, dtype="float64")
    rows = encoder.fit(x).transform([[0.0], [25.0], [40.0], [100.0]])
    assert list(encoder.get_feature_names_out()) == ["x0", "x0_0", "x0_1", "x0_2", "x0_3"]
    np.testing.assert_allclose(rows[:2, 1:], [[0, 0, 0, 0], [1, 0, 0, 0]], atol=1e-12)
    np.testing.assert_allclose(rows[3, 1:], 1)
    assert rows[2, 1] == 1 and 0 < rows[2, 2] < 1 and rows[2, 3] == 0


def test_waves_are_sines_and_cosines_of_the_same_frequencies() -> None:
    x = np.random.default_rng(0).normal(size=(50, 3))
    encoder = TableEncoder(
        numerical_embedding="periodic", n_bins=6, dtype="float64", random_state=0
    )
    rows = encoder.fit_transform(x)
    assert rows.shape[1] == 3 + 18
    waves = rows[:, 3:].reshape(50, 3, 2, 3)
    np.testing.assert_allclose((waves**2).sum(axis=2), 1)


@pytest.mark.parametrize(
    ("given", "expected"),
    [([1], [1]), (["b"], [1]), ([False, True, False], [1]), ([0, "c"], [0, 2])],
)
def test_categories_can_be_named(given: list[Any], expected: list[int]) -> None:
    frame = pd.DataFrame({"a": [1, 2, 3, 1], "b": [4, 5, 6, 4], "c": [7, 8, 9, 7]})
    encoder = TableEncoder(categorical_features=given).fit(frame)
    levels = [sorted(frame.iloc[:, j].astype(str).unique()) for j in expected]
    assert [sorted(known) for known in encoder.levels_] == levels
    # Whole numbers are the same levels where a gap has made them floating.
    gap = frame.astype(float)
    np.testing.assert_array_equal(encoder.transform(gap), encoder.transform(frame))


def test_bad_tables_are_refused_with_the_column_s_name() -> None:
    frame, _ = passengers()
    encoder = TableEncoder().fit(frame)
    with pytest.raises(ValueError, match="column 'age' holds numbers, but 'old' was found"):
        encoder.transform(frame.astype({"age": object}).assign(age="old"))
    with pytest.raises(ValueError, match="infinity in column 'fare'"):
        encoder.transform(frame.assign(fare=np.inf))
    with pytest.raises(ValueError, match="feature names"):
        encoder.transform(frame.rename(columns={"age": "years"}))
    with pytest.raises(ValueError, match="categorical_features names 'cabn', but X has"):
        TableEncoder(categorical_features=["cabn"]).fit(frame)
    with pytest.raises(ValueError, match="max_levels=1"):
        TableEncoder(max_levels=1).fit(frame)


def test_a_table_without_variation_is_one_column_of_zeros() -> None:
    rows = TableEncoder().fit_transform([[1.0, "a", None], [1.0, "a", None]])
    np.testing.assert_array_equal(rows, np.zeros((2, 1)))


# --- the classifier ---------------------------------------------------------------------------


def test_a_raw_frame_is_fitted_and_unseen_values_are_answered() -> None:
    frame, y = passengers(400)
    model = TabularMLPClassifier(**QUICK).fit(frame, y)
    assert list(model.classes_) == ["no", "yes"]
    assert model.score(frame, y) > 0.75
    assert list(model.feature_names_in_) == list(frame.columns)
    odd = frame.head(3).astype({"sex": object, "port": object})
    odd.loc[0, "sex"], odd.loc[1, "port"], odd.loc[2, "age"] = "unsaid", "Z", np.nan
    p = model.predict_proba(odd)
    assert p.shape == (3, 2) and np.isfinite(p).all()
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(model.predict_log_proba(odd), np.log(p))


def test_the_same_seed_gives_the_same_model_and_pickling_keeps_it() -> None:
    frame, y = passengers()
    model = TabularMLPClassifier(**QUICK).fit(frame, y)
    p = model.predict_proba(frame)
    np.testing.assert_array_equal(clone(model).fit(frame, y).predict_proba(frame), p)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(frame), p)
    other = clone(model).set_params(random_state=1).fit(frame, y)
    assert np.abs(other.predict_proba(frame) - p).max() > 1e-3


def test_each_member_keeps_its_best_epoch_and_the_plan_is_no_failure() -> None:
    X, y = load_iris(return_X_y=True)
    model = TabularMLPClassifier(**QUICK).fit(X, y)
    assert len(model.members_) == len(model.validation_losses_) == 2
    assert model.n_iter_ == 15
    assert [report.status for report in model.solve_report_] == ["stopped"] * 2
    held = parts(y, 20, np.random.RandomState(0)) < 2
    Z = model.encoder_.transform(X[held])
    z = model._raws[0].predict(model.members_[0], Z)
    T = fitted_temperature(z, y[held])
    assert reference_log_loss(y[held], softmax(z / T)) == pytest.approx(
        min(model.validation_losses_[0]), rel=1e-5
    )


def softmax(z: Any) -> Any:
    e = np.exp(z.astype(float) - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_the_temperature_is_the_best_one() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, 4000)
    z = 1.5 * rng.standard_normal((4000, 3)) + 2 * np.eye(3)[codes]
    T = fitted_temperature(z, codes)
    losses = {s: reference_log_loss(codes, softmax(z / (s * T))) for s in (0.97, 1.0, 1.03)}
    assert losses[1.0] < min(losses[0.97], losses[1.03])
    # Three times the outputs, three times the temperature, up to the prior.
    assert fitted_temperature(3 * z, codes) == pytest.approx(3 * T, rel=1e-2)
    # Separated rows have no best temperature: the prior decides.
    assert 0.04 < fitted_temperature(40 * np.eye(3), np.arange(3)) < 1


def test_label_smoothing_and_a_temperature_together_are_calibrated() -> None:
    X, y = load_digits(return_X_y=True)
    smooth = {**QUICK, "label_smoothing": 0.3}
    raw = TabularMLPClassifier(**smooth, calibrate=False).fit(X[:600], y[:600])
    fitted = TabularMLPClassifier(**smooth).fit(X[:600], y[:600])
    assert raw.temperature_ == 1 > fitted.temperature_
    losses = [reference_log_loss(y[600:], m.predict_proba(X[600:])) for m in (fitted, raw)]
    assert losses[0] < 0.75 * losses[1]


def of_members(n: int, m: int, noise: float, seed: int) -> tuple[Any, Any]:
    """Codes, and the probabilities of m members whose logits are the truth and noise of their
    own, each at its best temperature."""
    rng = np.random.default_rng(seed)
    z = 2 * rng.standard_normal((n, 4))
    codes = np.array([rng.choice(4, p=p) for p in softmax(z)])
    each = [z + noise * rng.standard_normal((n, 4)) for _ in range(m)]
    return codes, [softmax(one / fitted_temperature(one, codes)) for one in each]


def test_a_mean_of_members_that_differ_is_sharpened() -> None:
    codes, each = of_members(6000, 8, 1.0, 0)
    power = fitted_sharpness((each[0] + each[1]) / 2, codes, n_members=8)
    new, fresh = of_members(6000, 8, 1.0, 1)
    mean = np.mean(fresh, axis=0)
    losses = {c: reference_log_loss(new, sharpened(mean, c)) for c in (1, power**0.8, power)}
    assert losses[power] < 0.98 * losses[1]
    # Extrapolated from two members to eight, the power is about the best one.
    best = min(reference_log_loss(new, sharpened(mean, c)) for c in np.linspace(1, 3, 81))
    assert losses[power] < 1.003 * best
    np.testing.assert_allclose(sharpened(mean, power).sum(axis=1), 1)
    # For as many members as were averaged it is what was fitted; for one there is none.
    two = fitted_sharpness((each[0] + each[1]) / 2, codes, n_members=2)
    assert power == pytest.approx(two**1.75)


def test_members_that_agree_are_not_sharpened_and_few_rows_say_little() -> None:
    codes, (one, *_) = of_members(6000, 1, 2.0, 0)
    assert fitted_sharpness(one, codes, n_members=8) == pytest.approx(1, abs=0.05)
    assert 1 < fitted_sharpness(0.6 * np.eye(3) + 0.1, np.arange(3), n_members=8) < 1.2
    np.testing.assert_array_equal(sharpened(np.array([[0.0, 1.0]]), 300.0), [[0, 1]])
    np.testing.assert_allclose(sharpened(np.array([[1e-300, 1e-300]]), 30.0), 0.5)


def test_members_hold_half_of_their_rows_out_together() -> None:
    X, y = load_iris(return_X_y=True)
    given = {**QUICK, "n_ensemble": 4, "max_iter": 3}
    model = TabularMLPClassifier(**given).fit(X, y)
    seen: list[Any] = []
    model._learn_from_held_out = lambda z, held, rows: seen.extend(held)  # type: ignore
    model.fit(X, y)
    common = [[len(np.intersect1d(a, b)) for b in seen] for a in seen]
    for i in range(4):
        for j in range(4):
            # Half parts of 150 rows have 7 or 8.
            halves = max(0, 2 - abs(i - j))
            assert 7 * halves <= common[i][j] <= 8 * halves, (i, j)
    p = [np.full((len(rows), 2), k, float) for k, rows in enumerate(seen)]
    even, odd, at = seen_by_two(p, seen)
    counts = [common[k][k + 1] for k in range(3)]
    np.testing.assert_array_equal(at[: counts[0]], np.intersect1d(seen[0], seen[1]))
    for k, said in ((0, even), (1, odd)):
        expected = np.repeat([[0, 2, 2], [1, 1, 3]][k], counts)
        np.testing.assert_array_equal(said, np.column_stack([expected, expected]))
    assert len(at) == sum(counts)


def test_the_share_of_two_classifiers_is_the_best_one() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, 3000)
    near = softmax(rng.standard_normal((3000, 3)) + 2 * np.eye(3)[codes])
    far = softmax(rng.standard_normal((3000, 3)) + 1.5 * np.eye(3)[codes])
    share = fitted_share(near, far, codes)
    assert 0.05 < share < 0.5
    losses = [
        reference_log_loss(codes, (1 - s) * near + s * far)
        for s in (share - 0.03, share, share + 0.03)
    ]
    assert losses[1] < min(losses[0], losses[2])
    assert fitted_share(far, near, codes) == pytest.approx(1 - share, abs=1e-4)
    # Without rows that tell them apart each has half.
    assert fitted_share(near, near, codes) == pytest.approx(0.5, abs=1e-4)
    counts = rng.integers(0, 3, 3000)
    rows = np.repeat(np.arange(3000), counts)
    weighted = fitted_share(near, far, codes, counts)
    assert weighted == pytest.approx(fitted_share(near[rows], far[rows], codes[rows]), abs=1e-3)
    assert abs(weighted - share) > 1e-3


def test_members_see_the_table_in_turns() -> None:
    """A number whose place among many steps decides, and a product of two: one view has each."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 2))
    stairs = (np.floor(4 * X[:, 0]) % 2).astype(int)
    given = {**QUICK, "n_ensemble": 4, "max_iter": 30}
    model = TabularMLPClassifier(**given).fit(X, stairs)
    sizes = [w.shape[0] for w in model.members_]
    embedded = TabularMLPClassifier(**given, numerical_embedding="piecewise_linear").fit(X, stairs)
    plain = TabularMLPClassifier(**given, numerical_embedding=None).fit(X, stairs)
    sizes_of = [m.members_[0].shape[0] for m in (embedded, plain)]
    assert sizes == 2 * sizes_of and sizes_of[0] > sizes_of[1]
    # The first members of both are one.
    np.testing.assert_array_equal(model.members_[0], embedded.members_[0])
    assert model.shares_.sum() == pytest.approx(1)
    assert model.shares_[0] == model.shares_[2] > 0.4 > model.shares_[1] == model.shares_[3]
    np.testing.assert_array_equal(plain.shares_, 0.25)
    # Where there are no numbers there is one view.
    words = np.asarray([["a"], ["b"]] * 100, dtype=object)
    told = TabularMLPClassifier(**given).fit(words, words[:, 0])
    assert len({w.shape[0] for w in told.members_}) == 1
    np.testing.assert_array_equal(told.shares_, 0.25)
    with pytest.raises(ValueError, match="numerical_embedding='auto'"):
        TabularMLPRegressor(**given, numerical_embedding="auto").fit(X, X[:, 0])
    with pytest.raises(ValueError, match="numerical_embedding='spline'"):
        TabularMLPClassifier(**given, numerical_embedding="spline").fit(X, stairs)


def test_one_member_or_no_calibration_is_not_sharpened() -> None:
    X, y = load_iris(return_X_y=True)
    alone = TabularMLPClassifier(**{**QUICK, "n_ensemble": 1}).fit(X, y)
    raw = TabularMLPClassifier(**QUICK, calibrate=False).fit(X, y)
    assert alone.sharpness_ == raw.sharpness_ == raw.temperature_ == 1
    assert TabularMLPClassifier(**QUICK).fit(X, y).sharpness_ > 1


def test_the_plan_follows_solver_and_rows() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1600, 3))
    y, given = X[:, 0] > 0, {"hidden_layer_sizes": (4,), "n_ensemble": 1, "random_state": 0}
    large = TabularMLPClassifier(**given).fit(X, y)
    assert (large.solver_, large._rate, large.n_iter_) == ("muon", 0.02, 32)
    both = TabularMLPClassifier(**{**given, "n_ensemble": 3}).fit(X, y)
    assert both.solver_ == "muon, adam"
    assert [len(losses) for losses in both.validation_losses_] == [32, 32, 64]
    small = TabularMLPClassifier(**given).fit(X[:400], y[:400])
    assert (small.solver_, small._rate, small.n_iter_) == ("adam", 0.006, 64)
    named = TabularMLPClassifier(**given, solver="nadam", max_iter=3).fit(X, y)
    assert (named.solver_, named._rate, named.n_iter_) == ("nadam", 0.006, 3)
    real = TabularMLPRegressor(**given, max_iter=2, learning_rate_init=0.1).fit(X, X[:, 0])
    assert (real.solver_, real._rate, real.n_iter_) == ("adam", 0.1, 2)
    by_object = TabularMLPClassifier(**given, solver=Adam(learning_rate=0.01)).fit(X[:50], y[:50])
    assert (by_object.solver_, by_object.n_iter_) == ("adam", 64)


def test_the_automatic_activation_follows_rows_and_solver() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1600, 3))
    y = X[:, 0] > 0
    given = {"hidden_layer_sizes": (4,), "n_ensemble": 1, "random_state": 0, "max_iter": 1}
    trained, plain = Parametric(SELU()), "relu"
    for model, n, expected in (
        (TabularMLPClassifier(**given), 1600, trained),
        (TabularMLPClassifier(**given), 1400, plain),
        (TabularMLPClassifier(**given, solver="nadam"), 1600, trained),
        (TabularMLPClassifier(**given, solver="lbfgs"), 1600, trained),
        (TabularMLPClassifier(**given, solver="kfac"), 1600, plain),
        (TabularMLPClassifier(**given, solver=Adam(learning_rate=0.01)), 1600, trained),
    ):
        by_hand = clone(model).set_params(activation=expected).fit(X[:n], y[:n])
        found = model.fit(X[:n], y[:n])
        assert found._activation == expected
        np.testing.assert_array_equal(found.members_[0], by_hand.members_[0])
    assert TabularMLPRegressor(**given).fit(X, X[:, 0])._activation == "relu"


def test_parts_are_balanced() -> None:
    labels = np.repeat([0, 1, 2], [50, 23, 2])
    part = parts(labels, 5, np.random.RandomState(0))
    counts = np.array([np.bincount(part[labels == c], minlength=5) for c in range(3)])
    assert np.ptp(counts, axis=1).max() <= 1
    assert np.ptp(np.bincount(part)) <= 1


def test_rows_of_weight_zero_are_as_if_not_there() -> None:
    frame, y = passengers()
    used = np.arange(200) % 3 > 0
    weighted = TabularMLPClassifier(**QUICK).fit(frame, y, sample_weight=1.0 * used)
    fewer = TabularMLPClassifier(**QUICK).fit(frame[used], y[used])
    np.testing.assert_array_equal(weighted.predict_proba(frame), fewer.predict_proba(frame))


def test_heavy_rows_count_more() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 1)).round(1)
    y = (rng.random(300) < 0.5).astype(int)
    heavy = np.where(y == 1, 9.0, 1.0)
    p = TabularMLPClassifier(**QUICK).fit(X, y, sample_weight=heavy).predict_proba(X)[:, 1]
    assert 0.8 < p.mean() < 0.97


@pytest.mark.parametrize("n", [1, 3, 19, 25])
def test_few_rows_and_rare_classes_are_fitted(n: int) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(n, 2)), np.arange(n) // 2
    model = TabularMLPClassifier(**QUICK).fit(X, y)
    assert model.predict_proba(X).shape == (n, len(np.unique(y)))
    assert set(model.predict(X)) <= set(y)


def test_any_stochastic_or_batch_solver_can_train() -> None:
    X, y = load_iris(return_X_y=True)
    plan = {**QUICK, "learning_rate_init": "auto"}
    own = TabularMLPClassifier(
        **plan, solver=Adam(learning_rate=0.05, batch_size=32), schedule="constant"
    ).fit(X, y)
    named = TabularMLPClassifier(**QUICK, solver="lbfgs").fit(X, y)
    assert own.solver_ == "adam" and named.solver_ == "lbfgs"
    assert own.score(X, y) > 0.9 and named.score(X, y) > 0.9


def test_it_is_tuned_and_scored_as_any_estimator() -> None:
    frame, y = passengers()
    pipe = make_pipeline(TabularMLPClassifier(**{**QUICK, "max_iter": 5}))
    assert cross_val_score(pipe, frame, y, cv=3).mean() > 0.5
    assert clone(pipe).get_params()["tabularmlpclassifier__max_iter"] == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_iter": 0}, "max_iter=0"),
        ({"n_ensemble": "few"}, "n_ensemble='few'"),
        ({"validation_fraction": 0.6}, "validation_fraction=0.6"),
        ({"label_smoothing": 1.0}, "label_smoothing=1.0"),
        ({"activation": "step"}, "'step'"),
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes"),
        ({"initialisation": "zeros"}, "initialisation='zeros'"),
        ({"dtype": "int8"}, "dtype='int8'"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"decoupled_weight_decay": -1}, "decoupled_weight_decay=-1"),
        ({"max_grad_norm": 0}, "max_grad_norm=0"),
        ({"n_threads": 0}, "n_threads=0"),
    ],
)
def test_bad_parameters_are_named_and_nothing_is_left(change: Any, message: str) -> None:
    model = TabularMLPClassifier(**{**QUICK, **change})
    with pytest.raises(ValueError, match=message):
        model.fit([[0.0], [1.0]] * 20, [0, 1] * 20)
    assert not [name for name in vars(model) if name.endswith("_")]


def test_callbacks_see_each_member_and_can_stop_it() -> None:
    seen = []

    class Watch:
        def setup(self, estimator: Any, context: Any) -> None: ...
        def teardown(self, estimator: Any, context: Any) -> None: ...
        def on_fit_task_begin(self, estimator: Any, context: Any, *, X: Any, y: Any) -> None:
            assert len(y) == 150

        def on_fit_task_end(
            self, estimator: Any, context: Any, *, X: Any, y: Any, fitted_estimator: Any
        ) -> bool:
            seen.append(context.task_name)
            return False

    X, y = load_iris(return_X_y=True)
    TabularMLPClassifier(**QUICK).set_callbacks(Watch()).fit(X, y)
    assert seen.count("epoch") == 30
    assert [name for name in seen if name != "epoch"] == ["member 0", "member 1", "fit"]


# --- the regressor ----------------------------------------------------------------------------


def test_a_regressor_takes_tables_and_several_targets() -> None:
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    X["sex"] = np.where(X["sex"] > 0, "f", "m")
    model = TabularMLPRegressor(**QUICK).fit(X, y)
    assert model.score(X, y) > 0.4
    both = np.column_stack([y, 1e6 - 1e3 * y])
    two = TabularMLPRegressor(**QUICK).fit(X, both)
    assert (
        two.predict(X).shape == (442, 2) and two.score(X, np.column_stack([y, 1e6 - 1e3 * y])) > 0.4
    )


def test_a_regressor_follows_the_units_of_its_target() -> None:
    X, y = load_diabetes(return_X_y=True)
    one = TabularMLPRegressor(**QUICK).fit(X, y).predict(X)
    other = TabularMLPRegressor(**QUICK).fit(X, 1e6 * y - 3e7).predict(X)
    np.testing.assert_allclose(other, 1e6 * one - 3e7, rtol=1e-3, atol=1e4)
    np.testing.assert_allclose(
        TabularMLPRegressor(**QUICK).fit(X, np.full(442, 7.0)).predict(X), 7.0
    )


def test_repeated_values_leave_their_bins_to_the_tail() -> None:
    rng = np.random.default_rng(0)
    z = np.where(rng.random(1000) < 0.9, 0.0, rng.lognormal(size=1000))
    edges = edges_of(z, 16)
    assert edges.shape[0] <= 17 and np.all(np.diff(edges) > 0)
    assert edges[0] == z.min() and edges[-1] == z.max()
    # Plain quantiles would leave two or three bins.
    assert edges.shape[0] >= 14
    # Without repeated values they are plain quantiles.
    z = rng.normal(size=1000)
    np.testing.assert_array_equal(
        edges_of(z, 16), np.quantile(z, np.linspace(0, 1, 17), method="nearest")
    )
    # Few values are their own edges.
    np.testing.assert_array_equal(edges_of(np.array([0.0, 1.0, 1.0]), 16), [0, 1])


def test_wide_tables_have_fewer_bins() -> None:
    X = np.random.default_rng(0).normal(size=(300, 100))
    rows = TableEncoder(numerical_embedding="piecewise_linear", n_bins=32).fit_transform(X)
    assert rows.shape[1] == 100 + 100 * 10


def test_a_plan_of_a_table_is_refused_with_how_to_make_the_table() -> None:
    plan = pl.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}).lazy()
    with pytest.raises(TypeError, match=r"X is a polars.LazyFrame: pass X.collect\(\)"):
        TabularMLPClassifier().fit(plan, [0, 1])


@pytest.mark.parametrize("kind", [TabularMLPClassifier, TabularMLPRegressor])
def test_options_of_the_networks_are_there_and_change_what_they_say(kind: Any) -> None:
    frame, y = passengers()
    if kind is TabularMLPRegressor:
        y = frame["fare"].to_numpy()
    plain = kind(**QUICK).fit(frame, y)
    dropped = kind(**QUICK, dropout=0.3).fit(frame, y)
    assert not np.array_equal(dropped.members_[0], plain.members_[0])
    decayed = kind(**QUICK, decoupled_weight_decay=1.0).fit(frame, y)
    assert decayed.solver_ == "adamw" and plain.solver_ == "adam"
    assert np.linalg.norm(decayed.members_[0]) < 0.95 * np.linalg.norm(plain.members_[0])
    free, short = (
        kind(**QUICK, solver="sgd", max_grad_norm=bound).fit(frame, y) for bound in (None, 1e-6)
    )
    moved = [np.abs(model.members_[0][-1]) for model in (free, short)]  # the last bias, from 0 on
    assert moved[1] < 1e-2 * moved[0]
    one = kind(**QUICK, n_threads=1).fit(frame, y)
    np.testing.assert_allclose(one.members_[0], plain.members_[0], rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="solver='adagrad' cannot do that"):
        kind(**QUICK, solver="adagrad", decoupled_weight_decay=0.1).fit(frame, y)
    own = {**QUICK, "learning_rate_init": "auto", "solver": Adam(batch_size=16)}
    with pytest.warns(UserWarning, match="max_grad_norm configure a solver given by name"):
        kind(**own, max_grad_norm=1.0).fit(frame, y)


def test_class_weights_are_sample_weights_of_a_table() -> None:
    frame, y = passengers()
    share = {"yes": 3.0, "no": 0.5}
    weighted = TabularMLPClassifier(**QUICK, class_weight=share).fit(frame, y)
    by_row = TabularMLPClassifier(**QUICK).fit(frame, y, np.vectorize(share.get)(y))
    for one, two in zip(weighted.members_, by_row.members_, strict=True):
        np.testing.assert_array_equal(one, two)
    balanced = TabularMLPClassifier(**QUICK, class_weight="balanced").fit(frame, y)
    assert np.mean(balanced.predict_proba(frame), axis=0) == pytest.approx(0.5, abs=0.1)
    assert np.mean(weighted.predict(frame) == "yes") > np.mean(balanced.predict(frame) == "yes")
