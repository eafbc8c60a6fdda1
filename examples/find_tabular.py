"""Which C of a logistic regression? Folds are the seeds.

To find it: python find_tabular.py

Every estimator and parameter works alike: Ridge and alpha, SVC and C, a network and
alpha. At the end the answer is converted to another estimator.
"""

import sys

from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import dwindle
from dwindle.integrations import find_for_estimator

X, y = load_breast_cancer(return_X_y=True)
model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=10_000))
trainings = int(sys.argv[1]) if len(sys.argv) > 1 else 60
found = find_for_estimator(
    model, "logisticregression__C", X, y, low=1e-3, high=1e3, trainings=trainings
)
print(found)

if found.value is not None:
    there = dwindle.convert(
        found.value,
        found.knob,
        to="sklearn.linear_model.SGDClassifier:constant",
        run=found.conditions["facts"],
    )
    print(f"The same penalty is alpha = {there.value:.3g} of SGDClassifier.")
