"""Each field of MLflow's GraphQL needs one of our actions or is closed; an alias or a fragment hides none."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from doubleloop.base import errors
from doubleloop.identity.actions import Action
from doubleloop.tracking import graphql

READ, MODEL = Action.TRACKING_READ, Action.MODEL_READ
RUN = 'mlflowGetRun(input: {runId: "x"})'
WALK = """
import json
from mlflow.server.graphql.graphql_schema_extensions import schema
made = schema.graphql_schema
roots = [name for each in (made.query_type, made.mutation_type, made.subscription_type) if each for name in each.fields]
registry = [(type_, name) for type_, each in made.type_map.items() if hasattr(each, "fields") and type_[:2] != "__"
            for name, field in each.fields.items() if str(field.type).strip("[]!") in ("MlflowModelVersion",)]
print(json.dumps([sorted(roots), registry]))
"""


@pytest.mark.parametrize(
    ("text", "actions"),
    [
        (f"{{ {RUN} {{ run {{ info {{ runId }} }} }} }}", {READ}),
        (f"query A {{ {RUN} {{ run {{ modelVersions {{ name }} }} }} }}", {READ, MODEL}),
        (f"{{ test: {RUN} {{ run {{ x: modelVersions {{ name }} }} }} }}", {READ, MODEL}),
        ("{ a: mlflowSearchModelVersions { modelVersions { name } } }", {MODEL}),
        ("{ ...F } fragment F on Query { mlflowSearchModelVersions { apiError { code } } }", {MODEL}),
        ("{ ... on Query { mlflowSearchModelVersions { apiError { code } } } }", {MODEL}),
        ("query A { __typename } query B { mlflowSearchModelVersions { apiError { code } } }", {MODEL}),
        ("mutation { mlflowSearchDatasets(input: {}) { apiError { code } } }", {READ}),
        ("{ __schema { types { name } } }", {READ}),
        ("{ ...F } fragment F on Query { ...F }", {READ}),
    ],
)  # fmt: skip
def test_what_a_document_needs(text: str, actions: set[Action]) -> None:
    assert graphql.needed(text) == actions


@pytest.mark.parametrize(
    "text",
    [
        '{ test(inputString: "x") { output } }', "mutation { testMutation { output } }",
        '{ mlflowGetRun: test { output } }', "{ somethingNew { a } }", "subscription { runs { a } }",
        "{ ...F } fragment F on Query { somethingNew { a } }", "query A { __typename } mutation B { drop { a } }",
    ],
)  # fmt: skip
def test_a_field_that_nobody_has_looked_at_is_closed(text: str) -> None:
    with pytest.raises(errors.NotPermitted, match="is closed"):
        graphql.needed(text)


@pytest.mark.parametrize("text", ["", "{", "{ a ", "{" * 5000, "x" * 300_000, '{ a(b: "' + "x" * 10 + " }"])
def test_what_is_not_graphql_is_refused(text: str) -> None:
    with pytest.raises(errors.InvalidInput):
        graphql.needed(text)


@pytest.mark.slow
def test_every_field_of_the_installed_mlflow_is_listed_once_and_no_other() -> None:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", WALK], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    roots, registry = json.loads(done.stdout)
    assert set(roots) == set(graphql.ROOTS), "say in tracking/graphql.py what the new ones need, or None"
    assert len(roots) >= 9 and registry
    for type_, name in registry:
        assert name in graphql.INSIDE or name in graphql.ROOTS, f"{type_}.{name} leads to the registry"
