"""Every route of MLflow needs one of our actions or is refused."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from doubleloop.identity.actions import Action
from doubleloop.tracking import routes

# Walks the app that is started as a child, in a process of its own: importing MLflow takes seconds.
WALK = """
import json, re
from mlflow.server import app as flask_app
from mlflow.server.fastapi_app import app

def walk(found, prefix=""):
    for route in found:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from walk(inner.routes, prefix + (getattr(route.include_context, "prefix", "") or ""))
        elif type(route).__name__ == "Mount":
            assert route.path == "", route.path  # Flask, below the root
        else:
            assert route.methods, f"{route.path} is no HTTP route"
            for method in route.methods:
                yield method, prefix + route.path

every = set(walk(app.routes))
for rule in flask_app.url_map.iter_rules():
    for method in rule.methods - {"OPTIONS"}:
        every.add((method, rule.rule))
print(json.dumps(sorted((method, re.sub(r"<[^>]*>|{[^}]*}", "x", path)) for method, path in every)))
"""

MODEL, TRACKING = ("model.read", "model.write"), ("tracking.read", "tracking.write")
# What clients do, and what it takes; None is refused.
TABLE = [
    ("GET", "/", "tracking.read"),
    ("GET", "/health", "tracking.read"),
    ("GET", "/static-files/static/js/main.js", "tracking.read"),
    ("GET", "/api/2.0/mlflow/runs/get", "tracking.read"),
    ("HEAD", "/api/2.0/mlflow/runs/get", "tracking.read"),
    ("POST", "/api/2.0/mlflow/runs/search", "tracking.read"),
    ("POST", "/api/2.0/mlflow/runs/create", "tracking.write"),
    ("POST", "/api/2.0/mlflow/runs/log-batch", "tracking.write"),
    ("POST", "/api/2.0/mlflow/runs/delete", "tracking.write"),
    ("GET", "/ajax-api/2.0/mlflow/experiments/search", "tracking.read"),
    ("POST", "/api/2.0/mlflow/experiments/create", "tracking.write"),
    ("GET", "/api/2.0/mlflow-artifacts/artifacts/0/abc/artifacts/model/MLmodel", "tracking.read"),
    ("PUT", "/api/2.0/mlflow-artifacts/artifacts/0/abc/artifacts/model/MLmodel", "tracking.write"),
    ("DELETE", "/api/2.0/mlflow-artifacts/artifacts/0/abc", "tracking.write"),
    ("POST", "/api/2.0/mlflow/logged-models", "tracking.write"),
    ("GET", "/api/2.0/mlflow/registered-models/get", "model.read"),
    ("GET", "/api/2.0/mlflow/model-versions/search", "model.read"),
    ("POST", "/api/2.0/mlflow/registered-models/get-latest-versions", "model.read"),
    ("POST", "/api/2.0/mlflow/registered-models/create", "model.write"),
    ("POST", "/api/2.0/mlflow/model-versions/create", "model.write"),
    ("POST", "/api/2.0/mlflow/registered-models/alias", "model.write"),
    ("DELETE", "/api/2.0/mlflow/model-versions/delete", None),
    ("DELETE", "/api/2.0/mlflow/registered-models/delete", None),
    ("POST", "/api/2.0/mlflow/registered-models/rename", None),
    ("POST", "/api/2.0/mlflow/webhooks", None),
    ("POST", "/graphql", "tracking.read"),
    ("GET", "/graphql", None),
    ("POST", "/ajax-api/3.0/jobs/", None),
    ("POST", "/ajax-api/3.0/mlflow/assistant/message", None),
    ("POST", "/gateway/openai/v1/chat/completions", None),
    ("POST", "/api/3.0/mlflow/workspaces", None),
    ("POST", "/ajax-api/2.0/mlflow/upload-artifact", None),
    ("POST", "/api/3.0/mlflow/ui-telemetry", None),
    ("POST", "/anything/new", None),
    ("GET", "/api/2.0/mlflow/users/get", None),
    ("TRACE", "/", None),
    ("CONNECT", "/", None),
]


@pytest.mark.parametrize(("method", "path", "action"), TABLE)
def test_what_a_route_takes(method: str, path: str, action: str | None) -> None:
    found = routes.classify(method, path)
    assert (found.action.value if found.action else None) == action
    assert found.action or found.why


@pytest.mark.parametrize(
    "path",
    [
        "/api/2.0/mlflow/runs/get/", "/api/2.0/mlflow/runs/get\n", " /api/2.0/mlflow/runs/get", "//health",
        "/API/2.0/mlflow/runs/get", "/x/api/2.0/mlflow/runs/get", "/api/2.0/mlflow/runs/get;x", "/health/../graphql",
        "", "\n/health",
    ],
)  # fmt: skip
def test_a_path_that_is_only_near_a_known_one_is_refused(path: str) -> None:
    assert routes.classify("GET", path).action is None


def test_no_rule_lets_a_caller_do_more_than_track_and_register() -> None:
    allowed = {*map(Action, MODEL), *map(Action, TRACKING)}
    assert {rule.action for rule in routes.RULES} == {*allowed, None}
    assert all(rule.why for rule in routes.RULES if rule.action is None)


@pytest.mark.slow
def test_every_route_of_the_installed_mlflow_is_named_by_a_rule() -> None:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", WALK], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found) > 400
    unknown = [f"{method} {path}" for method, path in found if routes.classify(method, path) is routes.UNKNOWN]
    stale = [rule.path.pattern for rule in routes.RULES
             if not any(routes.classify(method, path) is rule for method, path in found)]  # fmt: skip
    assert stale == [], "no route of MLflow comes to these lines: take them out of tracking/routes.py"
    assert unknown == [], "MLflow has new routes: say in tracking/routes.py what they need, or why they are closed"
    # What only reads is asked with GET or is a search: a writing method that needs a right to read is looked at here.
    reading = {path for method, path in found if method not in ("GET", "HEAD", "OPTIONS")
               and routes.classify(method, path).action in (Action.TRACKING_READ, Action.MODEL_READ)}  # fmt: skip
    assert {path.rpartition("/")[2] for path in reading} <= {
        "search", "search-datasets", "get-latest-versions", "metrics", "batchGetInfos", "calculate-filter-correlation",
        "graphql",  # of which each field is asked
    }, reading  # fmt: skip
