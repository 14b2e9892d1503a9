"""Refuses columns that know too much: names of rows, and what was filled in after the outcome.

No detector sees every column that is filled in later; what a person knows of that can be declared.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

_ID_NAME = re.compile(
    r"(^|[ _.-])(id|uuid|guid|key|hash|e-?mail|address|phone|token|number|name)s?$", re.IGNORECASE
)
_AFTER_NAME = re.compile(
    r"(open|click|deliver|bounc|unsubscrib|complain|convert|conversion|outcome|first_click|status|tags?$"
    r"|lead quality|last (notable )?activity|asymmetrique|^duration$)",
    re.IGNORECASE,
)
_PAST_NAME = re.compile(r"^(past|days_since)_", re.IGNORECASE)  # ours, built from before the mail
_LEAST = 50  # rows below which the data cannot accuse a column
_LEAST_CLASS = 10
_PERFECT = 0.95  # AUC of a single column; honest columns of mail data lie below 0.8


def refused(
    frame: pd.DataFrame, target: NDArray[np.bool_], *, declared: Collection[str] = ()
) -> dict[str, str]:
    """Column -> why it must not be learned from."""
    found: dict[str, str] = {}
    for column in map(str, frame.columns):
        why = _by_name(column, declared) or _by_data(frame[column], target)
        if why:
            found[column] = why
    return found


def single_auc(values: pd.Series, target: NDArray[np.bool_]) -> float:
    """How well a column alone ranks the target (0.5 = not at all), its sense turned where needed.

    Text is ranked by the target's mean among the other folds of five, so that rare values prove
    nothing by themselves.
    """
    import pandas as pd

    score: NDArray[np.float64]
    if pd.api.types.is_numeric_dtype(values):
        known = values.astype(float)
        score = np.asarray(known.fillna(known.median()), dtype=np.float64)
    else:
        keys = values.astype(str).to_numpy()
        fold = np.arange(len(keys)) % 5
        score = np.zeros(len(keys))
        base = target.mean()
        for k in range(5):
            train = fold != k
            sums = pd.DataFrame({"key": keys[train], "y": target[train]}).groupby("key")["y"]
            means = (sums.sum() + base) / (sums.count() + 1)
            score[~train] = pd.Series(keys[~train]).map(means).fillna(base).to_numpy()
    if not np.isfinite(score).all():
        return 0.5
    auc = rank_auc(target, score)
    return max(auc, 1 - auc)


def rank_auc(target: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    """Area under the ROC curve by ranks (Mann-Whitney), ties shared; needs both classes."""
    from scipy.stats import rankdata

    hits = int(target.sum())
    ranks = float(rankdata(score)[target].sum())
    return (ranks - hits * (hits + 1) / 2) / (hits * (len(target) - hits))


def _by_name(column: str, declared: Collection[str]) -> str:
    if column in declared:
        return "declared as filled in after the outcome"
    if _PAST_NAME.search(column):
        return ""
    if _ID_NAME.search(column):
        return "its name says that it identifies a row or a person"
    if _AFTER_NAME.search(column):
        return "its name says that it is filled in after the outcome"
    return ""


def _by_data(values: pd.Series, target: NDArray[np.bool_]) -> str:
    import pandas as pd

    n = len(values)
    if n < _LEAST:
        return ""
    numeric = pd.api.types.is_numeric_dtype(values)
    distinct = values.nunique()
    whole = numeric and bool((values.dropna() % 1 == 0).all())
    if distinct > 0.95 * n and (not numeric or whole):
        return f"{distinct:,} values in {n:,} rows: it identifies the row"
    if min(target.sum(), n - target.sum()) < _LEAST_CLASS:
        return ""
    auc = single_auc(values, target)
    if auc > _PERFECT:
        return f"it alone ranks the outcome with AUC {auc:.3f}: too good to be known beforehand"
    return ""
