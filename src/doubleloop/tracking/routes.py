"""Which of our actions each MLflow route needs; what is not listed is refused.

The first line that matches decides. A test walks every route of the installed MLflow and fails on one that only the
last, refusing line matches.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from doubleloop.identity.actions import Action


@dataclass(frozen=True)
class Rule:
    """``action`` None means refused, and ``why`` is what the caller is told."""

    methods: frozenset[str]
    path: re.Pattern[str]
    action: Action | None
    why: str = ""


def _rule(methods: str, path: str, action: Action | None, why: str = "") -> Rule:
    every = "GET POST PUT PATCH DELETE" if methods == "*" else methods
    return Rule(frozenset(every.split()), re.compile(path), action, why)


_API = r"/(?:ajax-api|api)"
GRAPHQL = "/graphql"
_ANY = r"[^/]+"
_READ, _WRITE = Action.TRACKING_READ, Action.TRACKING_WRITE
_MODEL_READ, _MODEL_WRITE = Action.MODEL_READ, Action.MODEL_WRITE
_ELSEWHERE = "Doubleloop does this itself; see its own command."

RULES: tuple[Rule, ...] = (
    # pages and their files
    _rule("GET", r"/|/health|/version|/static-files/.*", _READ),
    _rule("GET", r"/get-artifact|/model-versions/get-artifact", _READ),
    _rule("*", r"/build/.*", None, "Not part of Doubleloop."),
    # its fields are asked one by one: ``graphql``
    _rule("POST", GRAPHQL, _READ),
    _rule("GET", GRAPHQL, None, "GraphQL is asked by POST."),
    # what would run code or reach out from the server
    _rule("*", rf"{_API}/\d\.0/mlflow/(?:assistant|gateway|jobs|genai|scorer|prompt-optimization)(?:/.*)?", None,
          "MLflow's assistant, gateway and job routes are closed here."),
    _rule("*", rf"{_API}/\d\.0/mlflow/(?:gateway-proxy|issues/invoke|demo/.*|mcp-servers.*)", None,
          "MLflow's assistant, gateway and job routes are closed here."),
    _rule("*", r"/gateway/.*|/api/3\.0/jobs.*|/ajax-api/3\.0/jobs.*", None,
          "MLflow's assistant, gateway and job routes are closed here."),
    _rule("*", rf"{_API}/2\.0/mlflow/webhooks.*", None, _ELSEWHERE),
    _rule("*", rf"{_API}/3\.0/mlflow/workspaces.*", None, _ELSEWHERE),
    _rule("*", rf"{_API}/\d\.0/mlflow/runs/create-promptlab-run|{_API}/2\.0/mlflow/upload-artifact", None,
          "Use log_artifact from a run."),
    _rule("*", rf"{_API}/3\.0/mlflow/ui-telemetry", None, "Nothing is sent home."),
    _rule("*", rf"{_API}/2\.0/mlflow/artifacts/presigned-.*|{_API}/2\.0/mlflow-artifacts/presigned/.*", None,
          "Artifacts go through this server."),
    # artifacts
    _rule("GET", rf"{_API}/2\.0/mlflow-artifacts/artifacts(?:/.*)?|{_API}/2\.0/mlflow/artifacts/list", _READ),
    _rule("PUT DELETE", rf"{_API}/2\.0/mlflow-artifacts/artifacts/.*", _WRITE),
    _rule("POST", rf"{_API}/2\.0/mlflow-artifacts/mpu/(?:create|complete|abort)/.*", _WRITE),
    # experiments, runs, metrics, data sets
    _rule("GET", rf"{_API}/2\.0/mlflow/(?:experiments|runs|metrics)/(?:get|get-by-name|search|get-history.*)", _READ),
    _rule("POST", rf"{_API}/2\.0/?mlflow/(?:experiments|runs)/(?:search|search-datasets)", _READ),
    _rule("POST", rf"{_API}/2\.0/mlflow/(?:experiments|runs)/{_ANY}", _WRITE),
    _rule("GET", rf"{_API}/3\.0/mlflow/datasets/.*", _READ),
    _rule("POST", rf"{_API}/3\.0/mlflow/datasets/search", _READ),
    _rule("POST PATCH DELETE", rf"{_API}/3\.0/mlflow/datasets/.*", _WRITE),
    # logged models (the files of a run's model)
    _rule("GET", rf"{_API}/2\.0/mlflow/logged-models/.*", _READ),
    _rule("POST", rf"{_API}/2\.0/mlflow/logged-models/search", _READ),
    _rule("POST PATCH DELETE", rf"{_API}/2\.0/mlflow/logged-models(?:/.*)?", _WRITE),
    # the registry
    _rule("GET", rf"{_API}/2\.0/mlflow/(?:registered-models|model-versions)/{_ANY}", _MODEL_READ),
    _rule("POST", rf"{_API}/2\.0/mlflow/registered-models/get-latest-versions", _MODEL_READ),
    _rule("POST", rf"{_API}/2\.0/mlflow/registered-models/rename", None,
          "A model's name is part of its releases and cannot change; register under the new name."),
    _rule("DELETE", rf"{_API}/2\.0/mlflow/(?:registered-models|model-versions)/delete", None,
          "Versions are never deleted: releases and predictions refer to them. Use `doubleloop model archive`."),
    _rule("POST PATCH DELETE", rf"{_API}/2\.0/mlflow/(?:registered-models|model-versions)/{_ANY}", _MODEL_WRITE),
    # traces, assessments, and what is built on them
    _rule("GET", rf"{_API}/\d\.0/mlflow/(?:traces.*|unified-traces|get-trace-artifact|get-online-trace-details)",
          _READ),
    _rule("POST", rf"{_API}/3\.0/mlflow/traces/(?:search|metrics|batchGetInfos|calculate-filter-correlation)", _READ),
    _rule("POST PATCH DELETE", rf"{_API}/\d\.0/mlflow/traces(?:/.*)?", _WRITE),
    _rule("POST", r"/v1/(?:traces|metrics)", _WRITE),
    _rule("GET", rf"{_API}/3\.0/mlflow/(?:issues|label-schemas|review-queues|scorers)/.*", _READ),
    _rule("POST", rf"{_API}/3\.0/mlflow/issues/search", _READ),
    _rule("*", rf"{_API}/3\.0/mlflow/(?:issues|label-schemas|review-queues)(?:/.*)?", _WRITE),
    _rule("*", rf"{_API}/3\.0/mlflow/scorers/(?:register|delete|online-config)", None,
          "Scorers run code in the server and are closed here."),
    _rule("GET", rf"{_API}/3\.0/mlflow/server-info", _READ),
)  # fmt: skip

UNKNOWN = Rule(frozenset(), re.compile(""), None, "This MLflow route is not one that Doubleloop knows.")


def classify(method: str, path: str) -> Rule:
    """The rule for a request to MLflow; ``path`` without our ``/mlflow`` prefix."""
    wanted = "GET" if method in ("HEAD", "OPTIONS") else method
    for rule in RULES:
        if wanted in rule.methods and rule.path.fullmatch(path):
            return rule
    return UNKNOWN


SERVER_INFO = re.compile(rf"^{_API}/3\.0/mlflow/server-info$")
# The page and its own files, which run as scripts; all else that is shown comes from who tracked it.
PAGES = re.compile(r"^/(?:static-files/.*)?$", re.DOTALL)
REGISTERS = re.compile(rf"^{_API}/2\.0/mlflow/model-versions/create$")
# Whose answer is the content of an artifact: the name is in the path, or in the query. A listing is not.
DOWNLOADS = re.compile(
    rf"^(?:{_API}/2\.0/mlflow-artifacts/artifacts/.+|(?:/model-versions|{_API}/\d\.0/mlflow)?/get-artifact|"
    rf"{_API}/\d\.0/mlflow/(?:get-trace-artifact|logged-models/[^/]+/artifacts/files))$"
)
CREATES_RUN = re.compile(rf"^{_API}/2\.0/mlflow/runs/create$")
# Whose bodies may set tags of a trace.
TAGS_TRACES = re.compile(rf"^{_API}/\d\.0/mlflow/traces(?:/[^/]+(?:/tags)?)?$")
# What is changed by hand, and stands on record as itself. What runs log while they go, and what is noted of its own
# (a new run, a registered version), is not among it.
CHANGES = re.compile(
    rf"^{_API}/\d\.0/mlflow/("
    r"experiments/(?:create|delete|restore|update|set-experiment-tag|delete-experiment-tag)|runs/(?:delete|restore)|"
    r"registered-models/(?:create|update|set-tag|delete-tag|alias)|"
    r"model-versions/(?:update|transition-stage|set-tag|delete-tag)|traces/delete-traces)$"
)
# Fields that say what was changed, and to what.
CHANGED = (
    "experiment_id", "run_id", "name", "new_name", "version", "alias", "stage", "key", "value", "description",
    "request_ids", "max_timestamp_millis",
)  # fmt: skip
