"""P(a person clicks): logistic regression, calibrated, with a card that says what it is worth.

With little data it is a cold start: the pooled rate, and it says so. A model that does not beat that rate
on mails it has not seen is not used either. Parameters are JSON, so a stored model can run no code.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pigeonry.errors import WrongUse
from scoring.features import CATEGORIES, Examples
from scoring.leakage import rank_auc, refused

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1
LEAST_CLICKS = (
    40  # below, a fit of some twenty coefficients says more about noise than about people
)
_PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
_FOLDS = 4

Floats = NDArray[np.float64]


class EngagementModel:
    """Predicts a click from features of scoring.features; `fit` or `from_json` first.

    `cold_start_` is true where predictions are the pooled rate; `card_` then says why.
    """

    def __init__(
        self,
        *,
        prior_rate: float = 0.02,
        prior_weight: float = 50.0,
        seed: int = 0,
        declared: Collection[str] = (),
    ) -> None:
        self.prior_rate = prior_rate
        self.prior_weight = prior_weight
        self.seed = seed
        self.declared = declared

    def fit(self, data: Examples) -> EngagementModel:
        """Learn from examples; whatever they are, the result predicts."""
        clicks, trials = float(data.clicked.sum()), float(data.weight.sum())
        self.rate_ = (self.prior_weight * self.prior_rate + clicks) / (self.prior_weight + trials)
        self.cold_start_ = True
        self.parameters_: dict[str, Any] = {}
        self.refused_ = refused(data.frame, data.clicked, declared=self.declared)
        self.card_: dict[str, Any] = {
            "rows": len(data.clicked),
            "leads": len(np.unique(data.lead_ids)),
            "clicks": int(clicks),
            "rate": self.rate_,
            "refused_columns": self.refused_,
            "from": str(data.at.min()) if len(data.at) else "",
            "to": str(data.at.max()) if len(data.at) else "",
        }
        least = min(clicks, len(data.clicked) - clicks)
        if least < LEAST_CLICKS:
            self.card_["words"] = (
                f"Cold start: {int(clicks)} clicks in {len(data.clicked):,} mails are too few to learn "
                f"from; every prediction is the pooled rate, {self.rate_:.2%}."
            )
            return self
        train, test, split = _split(data)
        if min(np.bincount(data.clicked[test].astype(int), minlength=2)) < 5:
            self.card_["words"] = "Cold start: too few clicks among the mails held back for a test."
            return self
        columns = [c for c in map(str, data.frame.columns) if c not in self.refused_]
        penalty = _best_penalty(data, train, columns)
        tried = _fitted(data, train, columns, penalty)
        predicted = _predict(tried, data.frame.iloc[test])
        base = np.full(len(test), np.average(data.clicked[train], weights=data.weight[train]))
        self.card_ |= {"split": split, "penalty": penalty} | _metrics(
            data.clicked[test], predicted, base, self.seed
        )
        if self.card_["log_loss"] >= self.card_["log_loss_rate"]:
            self.card_["words"] = (
                "Not used: on mails it had not seen the model was no better than the pooled rate "
                f"({self.card_['log_loss']:.4f} against {self.card_['log_loss_rate']:.4f} log loss); "
                f"every prediction is that rate, {self.rate_:.2%}."
            )
            return self
        everything = np.arange(len(data.clicked))
        self.parameters_ = _fitted(data, everything, columns, penalty)
        self.cold_start_ = False
        auc = self.card_["auc"]
        self.card_["words"] = (
            f"Learned from {len(data.clicked):,} mails with {int(clicks):,} clicks; on the newest it had "
            f"not seen, AUC {auc['estimate']:.2f} ({auc['low']:.2f} to {auc['high']:.2f})."
        )
        return self

    def predict(self, frame: pd.DataFrame) -> Floats:
        """Probability of a click for each row, shape (n,)."""
        if self.cold_start_:
            return np.full(len(frame), self.rate_)
        return _predict(self.parameters_, frame)

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "cold_start": self.cold_start_,
            "rate": self.rate_,
            "parameters": self.parameters_,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any], card: Mapping[str, Any]) -> EngagementModel:
        """A stored model. Raises WrongUse for one of another version."""
        if stored.get("format") != FORMAT:
            raise WrongUse(
                f"an engagement model of format {stored.get('format')!r}; this version reads {FORMAT}",
                where="engagement model",
                fix="run `pigeonry learn`: it fits a new one",
            )
        model = cls()
        model.cold_start_ = bool(stored["cold_start"])
        model.rate_ = float(stored["rate"])
        model.parameters_ = dict(stored["parameters"])
        model.card_ = dict(card)
        return model


def _split(data: Examples) -> tuple[NDArray[np.int64], NDArray[np.int64], str]:
    """The newest fifth is the test, where mails left on several days; else a fifth of the people."""
    order = np.argsort(data.at, kind="stable")
    cut = data.at[order[int(0.8 * len(order))]]
    if data.at.min() < cut and (data.at >= cut).mean() < 0.5:
        test = np.flatnonzero(data.at >= cut)
        train = np.flatnonzero(data.at < cut)
        return train, test, "by time: the newest mails are the test"
    part = _part(data.lead_ids, 5)
    return np.flatnonzero(part), np.flatnonzero(part == 0), "by person: nobody is on both sides"


def _part(lead_ids: NDArray[np.int64], parts: int) -> NDArray[np.int64]:
    """A part from 0 for each row, the same for all rows of a person (multiplicative hash)."""
    mixed = (lead_ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(33)
    return (mixed % np.uint64(parts)).astype(np.int64)


def _encoder(columns: list[str]) -> Any:
    """Numbers standardised (missing ones at the mean), names one-hot; unknown names count nothing."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numeric = [column for column in columns if column not in CATEGORIES]
    named = [column for column in columns if column in CATEGORIES]
    imputer = SimpleImputer(strategy="mean", keep_empty_features=True)
    return ColumnTransformer(
        [
            ("numeric", make_pipeline(imputer, StandardScaler()), numeric),
            ("named", OneHotEncoder(handle_unknown="ignore", sparse_output=False), named),
        ]
    )


def _regression(penalty: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=penalty, max_iter=500)


def _best_penalty(data: Examples, train: NDArray[np.int64], columns: list[str]) -> float:
    encoded = _encoder(columns).fit_transform(data.frame.iloc[train][columns])
    losses = {
        penalty: _log_loss(data.clicked[train], _out_of_fold(data, train, encoded, penalty))
        for penalty in _PENALTIES
    }
    return min(losses, key=lambda penalty: losses[penalty])


def _out_of_fold(
    data: Examples, rows: NDArray[np.int64], encoded: Floats, penalty: float
) -> Floats:
    """Predictions of each row by a model that has not seen its person."""
    y, weight = data.clicked[rows], data.weight[rows]
    found = np.full(len(rows), float(np.average(y, weights=weight)))
    fold = _part(data.lead_ids[rows], _FOLDS)
    for k in range(_FOLDS):
        fit, held = fold != k, fold == k
        if held.any() and len(np.unique(y[fit])) == 2:
            model = _regression(penalty).fit(encoded[fit], y[fit], sample_weight=weight[fit])
            found[held] = model.predict_proba(encoded[held])[:, 1]
    return found


def _fitted(
    data: Examples, rows: NDArray[np.int64], columns: list[str], penalty: float
) -> dict[str, Any]:
    """Plain parameters of the regression, with Platt's calibration on out-of-fold predictions."""
    encoder = _encoder(columns)
    encoded = encoder.fit_transform(data.frame.iloc[rows][columns])
    y, weight = data.clicked[rows], data.weight[rows]
    held = _logit(_out_of_fold(data, rows, encoded, penalty))
    platt = _regression(1e6).fit(held[:, None], y, sample_weight=weight)
    regression = _regression(penalty).fit(encoded, y, sample_weight=weight)
    numeric = [column for column in columns if column not in CATEGORIES]
    named = [column for column in columns if column in CATEGORIES]
    imputer, scaler = encoder.named_transformers_["numeric"]
    weights = [float(w) for w in regression.coef_[0]]
    found: dict[str, Any] = {
        "intercept": float(regression.intercept_[0]),
        # A turned-over slope would mean noise; then only the level is calibrated.
        "slope": max(0.0, float(platt.coef_[0][0])),
        "offset": float(platt.intercept_[0]),
        "numeric": {
            column: [
                float(imputer.statistics_[i]),
                float(scaler.mean_[i]),
                float(scaler.scale_[i]),
                weights[i],
            ]
            for i, column in enumerate(numeric)
        },
        "named": {},
    }
    place = len(numeric)
    for column, values in zip(
        named, encoder.named_transformers_["named"].categories_ if named else (), strict=True
    ):
        found["named"][column] = {str(value): weights[place + i] for i, value in enumerate(values)}
        place += len(values)
    return found


def _predict(parameters: Mapping[str, Any], frame: pd.DataFrame) -> Floats:
    score = np.full(len(frame), parameters["intercept"])
    for column, (fill, mean, scale, weight) in parameters["numeric"].items():
        values = frame[column].to_numpy(dtype=float)
        score += weight * (np.where(np.isnan(values), fill, values) - mean) / scale
    for column, weights in parameters["named"].items():
        score += np.array([weights.get(str(value), 0.0) for value in frame[column]])
    calibrated = parameters["slope"] * score + parameters["offset"]
    return np.asarray(1 / (1 + np.exp(-np.clip(calibrated, -30, 30))))


def _metrics(y: NDArray[np.bool_], predicted: Floats, base: Floats, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    draws: list[float] = []
    while len(draws) < 200:
        sample = rng.integers(0, len(y), len(y))
        if 0 < y[sample].sum() < len(y):
            draws.append(rank_auc(y[sample], predicted[sample]))
    low, high = np.quantile(draws, [0.025, 0.975])
    bins = np.array_split(np.argsort(predicted, kind="stable"), min(10, max(1, len(y) // 20)))
    return {
        "test_rows": len(y),
        "log_loss": _log_loss(y, predicted),
        "log_loss_rate": _log_loss(y, base),
        "brier": float(np.mean((predicted - y) ** 2)),
        "auc": {
            "estimate": rank_auc(y, predicted),
            "low": float(low),
            "high": float(high),
            "level": 0.95,
        },
        "calibration": [
            {
                "predicted": float(predicted[part].mean()),
                "observed": float(y[part].mean()),
                "mails": len(part),
            }
            for part in bins
        ],
    }


def _log_loss(y: NDArray[np.bool_], predicted: Floats) -> float:
    p = np.clip(predicted, 1e-6, 1 - 1e-6)
    return float(-np.mean(np.where(y, np.log(p), np.log1p(-p))))


def _logit(p: Floats) -> Floats:
    clipped = np.clip(p, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(clipped / (1 - clipped)))
