"""Which of our actions a GraphQL document of MLflow's pages needs; one with a field at its root that is not listed here
is refused. A test walks the schema of the installed MLflow and fails on a field that is missing here, or is not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import graphql

from doubleloop.base import errors
from doubleloop.identity.actions import Action

LARGEST = 200_000
# Fields at the root of queries and mutations (MLflow calls a long search a mutation); None is refused.
ROOTS: Mapping[str, Action | None] = {
    "mlflowGetExperiment": Action.TRACKING_READ,
    "mlflowGetMetricHistoryBulkInterval": Action.TRACKING_READ,
    "mlflowGetRun": Action.TRACKING_READ,
    "mlflowListArtifacts": Action.TRACKING_READ,
    "mlflowSearchDatasets": Action.TRACKING_READ,
    "mlflowSearchModelVersions": Action.MODEL_READ,
    "mlflowSearchRuns": Action.TRACKING_READ,
    "test": None,
    "testMutation": None,
}
# Fields further inside by which one reaches what another action is needed for, whatever they are below.
INSIDE: Mapping[str, Action] = {"modelVersions": Action.MODEL_READ}
# What GraphQL has of itself.
_OWN = ("__typename", "__schema", "__type")


def needed(text: str) -> frozenset[Action]:
    """Every action that some operation of the document needs. Raises InvalidInput, NotPermitted for a closed field."""
    document = _parsed(text)
    operations = [each for each in document.definitions if isinstance(each, graphql.OperationDefinitionNode)]
    fragments = {
        each.name.value: each for each in document.definitions if isinstance(each, graphql.FragmentDefinitionNode)
    }
    found = {_of_root(name) for each in operations for name in _roots(each.selection_set, fragments, frozenset())}
    names = _Names()
    graphql.visit(document, names)
    found |= {INSIDE[name] for name in names.seen & set(INSIDE)}
    return frozenset(action for action in found if action is not None) or frozenset({Action.TRACKING_READ})


def _parsed(text: str) -> graphql.DocumentNode:
    if len(text) > LARGEST:
        raise errors.InvalidInput(f"A GraphQL document has at most {LARGEST} characters")
    try:
        return graphql.parse(text, no_location=True, max_tokens=20_000)
    except (graphql.GraphQLError, RecursionError) as error:
        raise errors.InvalidInput(f"This is not GraphQL: {str(error)[:200]}") from error


def _of_root(name: str) -> Action | None:
    if name in _OWN:
        return None
    action = ROOTS.get(name)
    if action is None:
        raise errors.NotPermitted(f"MLflow's GraphQL field {name[:80]} is closed: it is not one that Doubleloop knows.")
    return action


def _roots(
    selected: graphql.SelectionSetNode, fragments: Mapping[str, graphql.FragmentDefinitionNode], inside: frozenset[str]
) -> Iterator[str]:
    """Names of the fields at the root, through fragments; an alias does not hide one."""
    for each in selected.selections:
        if isinstance(each, graphql.FieldNode):
            yield each.name.value
        elif isinstance(each, graphql.InlineFragmentNode):
            yield from _roots(each.selection_set, fragments, inside)
        elif isinstance(each, graphql.FragmentSpreadNode):
            name = each.name.value
            if name in fragments and name not in inside:
                yield from _roots(fragments[name].selection_set, fragments, inside | {name})


class _Names(graphql.Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def enter_field(self, node: graphql.FieldNode, *_: object) -> None:
        self.seen.add(node.name.value)
