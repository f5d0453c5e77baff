"""Loads one model inside the user's own environment and answers the gateway over a unix socket.

Standard library only (numpy, pandas and mlflow come from the user's environment and are imported when the
model needs them), Python 3.8 and newer. Started by file path, never imported by the server:
``python .../scorer/serve.py --socket PATH --spec SPEC.json``.
"""
