"""What must hold of a definition before it is kept, and what it starts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from doubleloop.base import errors
from doubleloop.frames import contracts as tables
from doubleloop.gates import queries as gates
from doubleloop.releases import commands, queries
from doubleloop.specs import documents
from doubleloop.specs.kinds import contracts

STAGING = """
$schema: doubleloop/release
name: bikes
model: azureml:bikes
stages:
  - workspace: staging
    deployment: {name: blue, endpoint_name: bikes-test}
    checks:
      - CHECK
"""


@pytest.mark.parametrize(
    ("check", "words"),
    [
        ("{type: model_quality, data: azureml:holdout@latest, target: y, metric: rmse, at_most: 4}", "other rows"),
        ("{type: model_quality, data: azureml:holdout:1, target: y, metric: goodness, at_most: 4}", "not a metric"),
        ("{type: responsible_ai, data: azureml:holdout:1, target: y, sensitive: [g], metric: mae_ratio, at_least: 1}",
         "1 or more"),
        ("{type: responsible_ai, data: azureml:holdout:1, sensitive: [g], metric: mae_ratio, at_most: 2}", "no target"),
        ("{type: responsible_ai, data: azureml:holdout:1, target: y, sensitive: [t.language], metric: mae_ratio, "
         "at_most: 2, language_model: azureml:l@latest}", "another one tomorrow"),
    ],
)  # fmt: skip
def test_a_check_that_could_not_decide_is_refused_with_its_line(site: Any, check: str, words: str) -> None:
    with pytest.raises(errors.InvalidInput, match=words) as refused:
        site.define(STAGING.replace("CHECK", check))
    assert "release.yml:9" in str(refused.value)


def test_a_workspace_must_exist(site: Any) -> None:
    with pytest.raises(errors.NotFound, match="No workspace is named 'moon'"):
        site.define(STAGING.replace("CHECK", "{type: scan}").replace("staging", "moon"))


def test_production_without_an_approval_is_not_a_scientists_to_decide(site: Any) -> None:
    text = STAGING.replace("CHECK", "{type: scan}").replace("staging", "prod")
    with pytest.raises(errors.NotPermitted, match="asks for no approval, and ada may not decide that alone"):
        site.define(text)


def test_a_path_that_was_not_uploaded_is_refused(site: Any) -> None:
    (site.house.home / "tests").mkdir()
    with pytest.raises(errors.InvalidInput, match="is a path of another machine"):
        site.define(STAGING.replace("CHECK", "{type: unit_tests, command: pytest, code: tests}"))


def test_a_definition_never_changes_a_change_is_a_version(site: Any) -> None:
    first = site.define()
    assert site.define() == first
    second = site.define(STAGING.replace("CHECK", "{type: scan}"))
    assert (first.version, second.version) == (1, 2)
    with site.house.read("grace", "staging") as ctx:
        assert queries.definition(ctx, "bikes", 1).hash == first.hash
        assert [each.version for each in queries.definition_versions(ctx, "bikes")] == [2, 1]


def test_a_release_goes_by_the_definition_it_was_started_with(site: Any) -> None:
    site.register("1")
    site.define()
    release = site.start("1")
    site.define(STAGING.replace("CHECK", "{type: scan}"))
    ended = site.through(release.id)
    assert (ended.definition_version, len(ended.stages)) == (1, 2)


def test_what_does_not_exist_cannot_be_started(site: Any) -> None:
    with pytest.raises(errors.NotFound, match=r"no release definition 'bikes'"):
        site.start("1")
    site.define()
    with pytest.raises(errors.NotFound, match="no model bikes"):
        site.start("1")


def test_who_may_not_start_is_refused(site: Any) -> None:
    site.register("1")
    site.define()
    with pytest.raises(errors.NotPermitted, match=r"release\.start"):
        site.start("1", by="eve")


@pytest.mark.parametrize("user", ["ada", "service:releases"])
def test_the_code_of_a_job_steers_no_release(site: Any, user: str) -> None:
    """Not in its user's name, and not in that of the process that retrains."""
    site.register("1")
    site.define()
    release = site.start("1")
    code = replace(site.house.actor(user), via=f"job:{release.id}-train0/train")
    document = documents.parse(STAGING.replace("CHECK", "{type: scan}"), "release.yml", site.house.home)
    for command in (
        lambda ctx: commands.put_definition(ctx, document),
        lambda ctx: commands.start(ctx, "bikes"),
        lambda ctx: commands.cancel(ctx, release.id),
    ):
        with pytest.raises(errors.NotPermitted, match="steers no release"), site.contexts.write(code, "staging") as ctx:
            command(ctx)


def test_a_new_version_starts_the_releases_of_its_model_but_not_one_that_a_release_has_trained(site: Any) -> None:
    site.register("1")
    site.define()
    with site.house.read("service:automation", None) as ctx:
        assert queries.starts_on(ctx, "bikes", None) == ("bikes",)
        assert queries.starts_on(ctx, "cars", None) == ()
    release = site.through(site.start("1").id)
    with site.house.read("service:automation", None) as ctx:
        assert queries.starts_on(ctx, "bikes", f"{release.id}-train0") == ()


def test_a_manual_definition_starts_nothing_by_itself(site: Any) -> None:
    site.define("\n".join(["trigger: manual", STAGING.replace("CHECK", "{type: scan}")]))
    with site.house.read("service:automation", None) as ctx:
        assert queries.starts_on(ctx, "bikes", None) == ()


def test_what_waits_is_listed_with_who_may_decide(site: Any) -> None:
    site.register("1")
    site.define()
    release = site.start("1")
    seen: list[Any] = []

    async def people() -> None:
        await site.until(release.id, "waiting")
        for user in ("grace", "ada", "eve"):
            with site.house.read(user, None) as ctx:
                listed = queries.waiting(ctx)
                seen.append([gates.may_decide(ctx, each.approval)[0] for each in listed])
        with site.house.read("grace", None) as ctx:
            (waiting,) = queries.waiting(ctx)
            assert len(waiting.evidence) == 4
        with site.house.write("ada", None) as ctx:
            commands.cancel(ctx, release.id)

    site.run(people)
    assert seen == [[True], [False], [False]]  # who looks at staging reads how its release goes on


def test_releases_are_listed_newest_first_page_by_page(site: Any) -> None:
    site.register("1")
    site.define()
    for _ in range(3):
        site.start("1")
    with site.house.read("grace", None) as ctx:
        page = queries.list(ctx, limit=2)
        assert [each.number for each in page.items] == [3, 2]
        assert [each.number for each in queries.list(ctx, cursor=page.next).items] == [1]
        with pytest.raises(errors.InvalidInput):
            queries.list(ctx, statuses=("happy",))


def test_data_that_a_rule_has_collected_is_what_is_trained_on(site: Any) -> None:
    site.register("1")
    site.define(
        STAGING.replace("CHECK", "{type: scan}").replace(
            "    deployment:",
            "    retrain:\n"
            "      job:\n"
            "        type: command\n"
            "        command: python train.py ${{inputs.rows}} ${{inputs.depth}}\n"
            "        environment: azureml:env:1\n"
            "        inputs: {rows: old, depth: 3}\n"
            "      inputs: {depth: 4}\n"
            "    deployment:",
        )
    )
    with site.house.write("service:automation", None) as ctx:
        trigger = {"type": "rule", "author": "ada", "inputs": {"rows": "new"}}
        release = commands.start(ctx, "bikes", trigger=trigger)
    site.through(release.id)
    with site.house.read("grace", "staging") as ctx:
        kept = ctx.tx.exec_driver_sql("select inputs from jobs").scalar()
    assert '"rows":"new"' in kept.replace(" ", "")
    assert '"depth":4' in kept.replace(" ", "")


def test_the_contract_on_the_page_is_a_contract(site: Any) -> None:
    """The example of docs/releases.md goes through the front door and means something to the check."""
    page = (Path(__file__).parents[2] / "docs" / "releases.md").read_text()
    (site.house.home / "contract.yml").write_text(
        "$schema: doubleloop/contract\n" + page.partition("### Contracts")[2].split("```yaml\n")[1].split("```")[0]
    )
    kept = site.define(STAGING.replace("CHECK", "{type: data_quality, data: azureml:t:1, contract: contract.yml}"))
    contract = tables.parse(kept.document["spec"]["stages"][0]["checks"][0]["contract"])
    table = pl.DataFrame(
        {
            "fare": [1.0],
            "vendor": [3],
            "id": ["AB1"],
            "day": ["2008-12-31"],
            "hour": [1],
            "more": [1],
            "pickup": ["2020-01-01"],
        }
    )
    broken = tables.measure(contract, table, datetime(2020, 1, 9, tzinfo=UTC))["violations"]
    assert [f"{each['column']} {each['rule']}" for each in broken] == [
        " rows", "more extra", "vendor in", "day at_least", "pickup freshness",
    ]  # fmt: skip


def test_the_check_knows_every_rule_that_a_contract_file_may_hold() -> None:
    assert set(contracts.Column.field_names()) <= set(tables.COLUMN_FIELDS)
    assert set(contracts.Contract.field_names()) <= set(tables.FIELDS)
