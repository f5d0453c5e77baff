"""A process that has loaded the model, and does nothing: what a model costs in memory (``python bare.py FOLDER``)."""

import sys

import mlflow.pyfunc

model = mlflow.pyfunc.load_model(sys.argv[1])
print("loaded", flush=True)
sys.stdin.read()
