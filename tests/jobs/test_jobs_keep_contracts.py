"""Jobs train on nothing that breaks its contract, and leave nothing that does."""

from __future__ import annotations

import pytest
from jobs_workshop import Workshop

from doubleloop.base import errors
from doubleloop.data import commands, contracts, queries
from doubleloop.specs import documents
from doubleloop.storage import ports as storage

CONTRACT = "$schema: doubleloop/contract\ndata: rides\ncolumns: {hour: {type: integer, at_most: 23}}\n"
TRAIN = """
    $schema: x/commandJob.schema.json
    command: cat ${{inputs.rides}} && echo trained
    environment: azureml:base@latest
    inputs: {rides: {type: uri_file, path: "azureml:rides@latest"}}
"""
MAKE = """
    $schema: x/commandJob.schema.json
    command: printf 'hour\\n%s\\n' HOUR > ${{outputs.rides}}
    environment: azureml:base@latest
    outputs: {rides: {type: uri_file, name: rides}}
"""


def add(shop: Workshop, content: str) -> None:
    reference = commands.store_bytes(shop.contexts.port(storage.Blobs), "rides.csv", content.encode())
    with shop.house.write("ada") as ctx:
        commands.add_version(ctx, "rides", reference, "uri_file")


def attach(shop: Workshop, text: str = CONTRACT) -> None:
    with shop.house.write("ada") as ctx:
        contracts.put(ctx, documents.parse(text, "contract.yml", "/"))


def test_what_breaks_its_contract_is_trained_on_by_nobody(shop: Workshop) -> None:
    add(shop, "hour\n8\n99\n")
    attach(shop)  # the version was there before
    first = shop.run(TRAIN)
    assert first.status == "failed" and "rides:1 breaks its contract" in first.error
    assert "column hour breaks 'at_most' in 1 rows (50.00%)" in first.error and "trained" not in shop.log(first.id)
    with pytest.raises(errors.InvalidInput, match="rides:1 breaks its contract") as refused:  # it is known by now
        shop.submit(TRAIN)
    assert refused.value.where is not None and refused.value.where.line == 5
    add(shop, "hour\n8\n9\n")
    assert shop.run(TRAIN).status == "completed"


def test_a_job_whose_output_breaks_the_contract_of_its_name_fails_and_leaves_no_version(shop: Workshop) -> None:
    attach(shop)
    failed = shop.run(MAKE.replace("HOUR", "99"))
    assert failed.status == "failed" and "A new version of rides breaks its contract" in failed.error
    assert shop.run(MAKE.replace("HOUR", "9")).status == "completed"
    with shop.house.read() as ctx:
        assert len(queries.versions(ctx, "rides")) == 1
