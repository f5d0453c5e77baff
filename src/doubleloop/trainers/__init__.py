"""Trains models on tables: one trial of an AutoML job, an ensemble of its trials, or the report on its best model.

Runs in an environment of its own (numpy, pandas, scikit-learn, mlflow; the curated environment ``AutoML``), started by
file path, never imported by the server: ``python .../run.py ROLE``, with what to do in ``DOUBLELOOP_AUTOML`` (the
fields are described at ``orders.Orders``). Each job carries a copy, and so does each model, under the name
``doubleloop_automl``, so that a model loads wherever its packages are.
"""
