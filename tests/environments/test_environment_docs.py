"""The page about environments tells what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from doubleloop.environments import conda, curated, rules

PAGE = (Path(__file__).parents[2] / "docs" / "environments.md").read_text()


def test_every_curated_name_and_every_translated_package_is_on_the_page() -> None:
    for name in (*curated.names(), *conda.RENAMED, *conda.RENAMED.values()):
        assert f"`{name}`" in PAGE, name


def test_the_table_of_pins_is_what_happens() -> None:
    rows = re.findall(r"^\| (`numpy.*?) \| `(.*?)` \|", PAGE, re.MULTILINE)
    assert len(rows) == 5
    for written, pip in rows:
        for pin in re.findall(r"`(.*?)`", written):
            (found,) = conda.parse(f'dependencies: ["{pin}"]', "c.yml").requirements
            assert found.text == pip


def test_the_example_files_can_be_read() -> None:
    blocks = [block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if block.startswith("channels")]
    (spec,) = (conda.parse(block, "conda.yml") for block in blocks)
    assert spec.python == "3.11"
    assert rules.prepare(spec).requirements[0].text == "numpy==1.26.*"
