"""Plain peers on the record: logistic regression, CatBoost and the explainable boosting machine."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from salus_learn.benchmark.packages import package
from salus_learn.benchmark.peer import FittedPeer, Risks, inner_threshold
from salus_learn.benchmark.people import Taught, inner_splits
from salus_learn.benchmark.table import RecordTable, learn_table

STRENGTHS = tuple(float(strength) for strength in np.logspace(-3, 2, 11))
PATIENCE = 50


class Logistic:
    """Ridge logistic regression by scikit-learn."""

    name = "logistic"
    package = "scikit-learn"
    reads = "record"
    how = (
        "scikit-learn LogisticRegression: medians and missing indicators, one-hot words, scaled; "
        "C by log loss over 5 inner folds by person"
    )

    def fit(self, taught: Taught, *, seed: int, seconds: float) -> FittedPeer:
        """Choose C and fit."""
        columns = learn_table(taught)
        model = Pipeline([("plain", columns.plain()), ("line", LogisticRegression(max_iter=3000))])
        search = GridSearchCV(
            model, {"line__C": list(STRENGTHS)}, scoring="neg_log_loss", cv=inner_splits(taught, 5, seed=seed)
        ).fit(columns.frame(taught.asked), taught.target.y)

        def again(part: Taught) -> Risks:
            fitted = clone(search.best_estimator_).fit(columns.frame(part.asked), part.target.y)
            return _risks(fitted, columns)

        threshold = inner_threshold(taught, again, seed=seed)
        return FittedPeer(_risks(search.best_estimator_, columns), threshold, {"C": search.best_params_["line__C"]})


class CatBoost:
    """Boosted trees that read categories as they are."""

    name = "catboost"
    package = "catboost"
    reads = "record"
    how = (
        "CatBoostClassifier, defaults, native categories and missing numbers; the number of trees by early stopping on a "
        "fifth of the people, then fitted on all of them"
    )

    def fit(self, taught: Taught, *, seed: int, seconds: float) -> FittedPeer:
        """Choose the number of trees and fit."""
        columns = learn_table(taught)
        inside, outside = inner_splits(taught, 5, seed=seed)[0]
        first = self._model(seed, {})
        kept = taught.take(outside)
        first.fit(
            *self._data(taught.take(inside), columns), cat_features=list(columns.categories),
            eval_set=self._data(kept, columns), early_stopping_rounds=PATIENCE,
        )  # fmt: skip
        # CatBoost takes its rate from the number of trees it is allowed, so the rate that was stopped early goes along
        chosen = {"iterations": max(1, int(first.tree_count_)), "learning_rate": float(first.learning_rate_)}

        def again(part: Taught) -> Risks:
            fitted = self._model(seed, chosen).fit(*self._data(part, columns), cat_features=list(columns.categories))
            return _risks(fitted, columns)

        return FittedPeer(again(taught), inner_threshold(taught, again, seed=seed), chosen)

    @staticmethod
    def _model(seed: int, settings: dict[str, Any]) -> Any:
        return package("catboost").CatBoostClassifier(
            random_seed=seed, thread_count=os.cpu_count() or 1, allow_writing_files=False, logging_level="Silent", **settings
        )

    @staticmethod
    def _data(part: Taught, columns: RecordTable) -> tuple[Any, np.ndarray]:
        return columns.frame(part.asked), part.target.y


class Ebm:
    """The explainable boosting machine: additive, with pairs."""

    name = "ebm"
    package = "interpret-core"
    reads = "record"
    how = "ExplainableBoostingClassifier of interpret-core, defaults; its own early stopping is by case, not by person"

    def fit(self, taught: Taught, *, seed: int, seconds: float) -> FittedPeer:
        """Fit; nothing is chosen."""
        columns = learn_table(taught)

        def again(part: Taught) -> Risks:
            frame = columns.frame(part.asked)
            kinds = ["nominal" if name in columns.categories else "continuous" for name in frame.columns]
            model = package("interpret.glassbox").ExplainableBoostingClassifier(
                feature_types=kinds, random_state=seed, n_jobs=os.cpu_count() or 1
            )
            with warnings.catch_warnings():
                # it says that its charts do not show missing values; no chart is drawn here
                warnings.filterwarnings("ignore", message="Missing values detected")
                return _risks(model.fit(frame, part.target.y), columns)

        return FittedPeer(again(taught), inner_threshold(taught, again, seed=seed))


def _risks(model: Any, columns: RecordTable) -> Risks:
    """The second column of `predict_proba` on the table."""
    return lambda asked: model.predict_proba(columns.frame(asked))[:, 1]
