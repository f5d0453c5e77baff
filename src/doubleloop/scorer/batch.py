"""Scores a table in one go, inside the user's environment, for checks that need a model's own predictions.

``python batch.py --model DIR --input rows.json --output out.json [--kits DIR]``

``rows.json``: ``{"columns": [names], "dtypes": [names], "data": [[row], ...], "signature": {...} or null}``. ``dtypes``
are MLflow's column types (long, integer, double, float, boolean, string, datetime). Missing values are null; NaN is
read too. Dates and times are ISO 8601 text.

``out.json``: ``{"rows", "predictions": [...], "plan": {"used", "why", "agrees", "rows", "largest_difference"},
"mlflow", "python", "seconds"}``, one prediction a row (the column ``prediction`` of several, or a list of all where
none is called so), null for what is no number.
Ends with 1 and ``{"error": text}`` in ``out.json`` when the model cannot be loaded or does not answer for every row.

The model goes through the same code as behind an endpoint, so what is judged is what will be served.
"""

import argparse
import datetime
import importlib
import json
import os
import platform
import sys
import time
import traceback

FLOATS = ("double", "float")
WHOLE = ("long", "integer")


def main(argv):
    # type: (list) -> int
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("model", "input", "output"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--kits", default="", help="folder of serving kits")
    options = parser.parse_args(argv)
    try:
        with open(options.input, encoding="utf-8") as file:
            table = json.load(file)
        answer = score(options.model, table, options.kits)
        code = 0
    except Exception as error:
        traceback.print_exc()
        answer = {"error": "%s: %s" % (type(error).__name__, error)}
        code = 1
    beside = options.output + ".part"
    with open(beside, "w", encoding="utf-8") as file:
        json.dump(answer, file, allow_nan=False)
    os.replace(beside, options.output)
    return code


def score(folder, table, kits=""):
    # type: (str, dict, str) -> dict
    """The answer for ``table`` of the model in ``folder``."""
    package = __package__ or "_doubleloop_scorer"
    mlflow_model = importlib.import_module(package + ".mlflow_model")
    answers = importlib.import_module(package + ".answers")
    began = time.monotonic()
    model = mlflow_model.MlflowModel({"model_dir": folder, "signature": table.get("signature"), "kits": kits})
    rows = len(table["data"])
    inputs = (model.signature or {}).get("inputs")
    if inputs:
        header, columns = {"rows": rows}, signed(table, inputs)
    else:
        header, columns = {"rows": rows, "names": table["columns"]}, unsigned(table)
    # The model itself is judged; the plan that would answer in its place is held against it.
    found = answers.encode(model.predict({**header, "input": columns}, native=True))
    predictions = one_each(json.loads(found.decode("utf-8")), rows)
    return {
        "rows": rows,
        "predictions": predictions,
        "plan": model.compared(columns, rows),
        "mlflow": _version(),
        "python": platform.python_version(),
        "seconds": round(time.monotonic() - began, 3),
    }


def signed(table, inputs):
    # type: (dict, list) -> list
    """One list of values for each column of the signature, in its order; None for an optional column not there."""
    if any(spec.get("type") == "tensor" for spec in inputs):
        raise ValueError("the model takes tensors, which a table of columns cannot feed")
    place = {name: position for position, name in enumerate(table["columns"])}
    named = all(spec.get("name") is not None for spec in inputs)
    if not named and len(table["columns"]) < len(inputs):
        raise ValueError("the model takes %d columns, the table has %d" % (len(inputs), len(table["columns"])))
    chosen = []
    for index, spec in enumerate(inputs):
        position = place.get(spec["name"]) if named else index
        if position is None and spec.get("required", True):
            raise ValueError("the table has no column '%s', which the model's signature names" % spec["name"])
        name = spec.get("name", index)
        kind = spec["type"]
        chosen.append(None if position is None else [convert(row[position], kind, name) for row in table["data"]])
    return chosen


def unsigned(table):
    # type: (dict) -> list
    return [
        [convert(row[position], kind, table["columns"][position]) for row in table["data"]]
        for position, kind in enumerate(table["dtypes"])
    ]


def convert(value, kind, name):
    # type: (object, str, object) -> object
    """``value`` as the gateway would have sent it for a column of type ``kind``."""
    if value is None or (isinstance(value, float) and value != value):
        return None
    try:
        if kind in FLOATS:
            return float(value)  # type: ignore[arg-type]
        if kind in WHOLE:
            whole = int(value)  # type: ignore[call-overload]
            if isinstance(value, float) and value != whole:
                raise ValueError("not a whole number")
            return whole
        if kind == "boolean":
            if isinstance(value, bool) or value in (0, 1):
                return bool(value)
            raise ValueError("not true or false")
        if kind == "datetime":
            return nanoseconds(str(value))
        return value if kind not in ("string",) else str(value)
    except (TypeError, ValueError) as error:
        raise ValueError("column '%s' takes %s, but holds %r (%s)" % (name, kind, value, error)) from error


def nanoseconds(text):
    # type: (str) -> int
    """ISO 8601 text as nanoseconds since 1970; without an offset it is UTC."""
    moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.timezone.utc)
    since = moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return (since.days * 86400 + since.seconds) * 10**9 + since.microseconds * 1000


def one_each(answer, rows):
    # type: (object, int) -> list
    """One prediction a row: a table of one column is unpacked; of several, the one called ``prediction``, as
    monitoring reads it in the log, or ``mask``, or else a list of all."""
    if not isinstance(answer, list) or len(answer) != rows:
        count = len(answer) if isinstance(answer, list) else 1
        raise ValueError("the model gave %d predictions for %d rows" % (count, rows))
    plain = [
        item["prediction"] if isinstance(item, dict) and "prediction" in item else
        item["mask"] if isinstance(item, dict) and "mask" in item else
        list(item.values()) if isinstance(item, dict) else item
        for item in answer
    ]  # fmt: skip
    return [item[0] if isinstance(item, list) and len(item) == 1 else item for item in plain]


def _version():
    # type: () -> str
    return str(getattr(sys.modules.get("mlflow"), "__version__", ""))


if __name__ == "__main__":
    # As in serve.py: this folder must not be importable as top-level names, and no bytecode is written beside us.
    sys.dont_write_bytecode = True
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or os.getcwd()) != here]
    loader = importlib.import_module("importlib.util")
    own = loader.spec_from_file_location(
        "_doubleloop_scorer", os.path.join(here, "__init__.py"), submodule_search_locations=[here]
    )
    package_module = loader.module_from_spec(own)
    sys.modules["_doubleloop_scorer"] = package_module
    own.loader.exec_module(package_module)
    sys.exit(main(sys.argv[1:]))
