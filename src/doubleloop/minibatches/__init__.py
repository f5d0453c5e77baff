"""Cuts files into mini-batches, scores them in worker processes, keeps what is finished, joins the rows.

Standard library only (numpy, pandas, pyarrow and mlflow come from the user's environment and are imported when they
are needed), Python 3.8 and newer. Started by file path, never imported by the server: ``python .../minibatches/run.py
SPEC.json``; the fields of ``SPEC.json`` are described at ``spec.Spec``.
"""
