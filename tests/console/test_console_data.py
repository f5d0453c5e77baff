"""The pages of data: which versions there are, what one holds, and what changed since another."""

from __future__ import annotations

import numpy
import polars as pl
import pytest
from console_scene import Browser, Scene

from doubleloop.console import pages
from doubleloop.data import commands as data
from doubleloop.data import queries
from doubleloop.identity import commands as identity
from doubleloop.identity.actions import Action
from doubleloop.storage import ports as storage


def rides(rows: int, seed: int, shift: float = 0.0) -> pl.DataFrame:
    draw = numpy.random.default_rng(seed)
    hour = draw.integers(0, 24, rows)
    count = hour * 10 + draw.normal(0, 5, rows).round(2)
    return pl.DataFrame(
        {
            "hour": hour, "temperature": numpy.where(hour < 3, numpy.nan, draw.normal(15 + shift, 8, rows).round(1)),
            "count": count, "count_again": count * 2, "season": draw.choice(["spring", "<b>autumn</b>"], rows),
            "id": [f"ride-{number}" for number in range(rows)],
        }
    ).fill_nan(None)  # fmt: skip


@pytest.fixture
def browser(own: Scene) -> Browser:
    """Two versions of a table, and a file that is none."""
    blobs = own.contexts.port(storage.Blobs)
    with own.house.write("ada", "dev") as ctx:
        for frame in (rides(400, 1), rides(300, 2, 12.0).drop("id")):
            data.add_version(ctx, "rides", data.store_bytes(blobs, "rides.csv", frame.write_csv().encode()), "uri_file")
        data.add_version(ctx, "notes", data.store_bytes(blobs, "notes.bin", bytes(range(256))), "uri_file")
    return Browser(pages.create(own.contexts, own.settings), "ada")


def test_data_is_listed_with_its_newest_version(browser: Browser) -> None:
    page = browser.get("/data").text
    assert 'href="/data/dev/rides/2"' in page and 'href="/data/dev/notes/1"' in page
    assert browser.get("/data/dev/rides").text.count("rides:2")


def test_a_version_shows_what_its_columns_hold_and_what_is_odd(browser: Browser) -> None:
    page = browser.get("/data/dev/rides/1?target=count").text
    assert "400 rows, 6 columns" in page
    assert "count_again alone explains" in page and "is it known before?" in page
    assert "id is another in every row" in page
    assert "count and count_again say the same" in page
    assert "&lt;b&gt;autumn&lt;/b&gt;" in page and "<b>autumn</b>" not in page
    assert page.count('<svg class="mini"') >= 3


def test_the_report_of_a_large_table_is_a_part_that_the_page_asks_for(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    small = browser.get("/data/dev/rides/1?target=count").text
    monkeypatch.setattr(queries, "APART_BYTES", 1_000)
    page = browser.get("/data/dev/rides/1?target=count").text
    address = "/data/dev/rides/1/report?target=count&amp;against="
    assert address in page and "400 rows" not in page and "Looking at the table" in page
    part = browser.get(address.replace("&amp;", "&")).text
    assert "<html" not in part and " ".join(part.split()) in " ".join(small.split()), "as the page of a small one"
    assert "400 rows, 6 columns" in part and "is it known before?" in part
    assert "notes.bin" in browser.get("/data/dev/notes/1/report").text, "what is no table says so there, too"
    assert browser.get("/data/dev/rides/9/report").status_code == 404


def test_two_versions_are_compared(browser: Browser) -> None:
    page = browser.get("/data/dev/rides/2?against=1").text
    assert "Since version 1" in page and "400 rows before, 300 now" in page
    assert "Gone: id." in page
    assert page.index("temperature: mean") < page.index("hour: ")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/data/dev/notes/1", "notes"),
        ("/data/dev/rides/1?target=nothing", "nothing"),
        ("/data/dev/rides/1?against=7", "7"),
    ],
)
def test_what_cannot_be_looked_at_says_why_and_the_page_stays(browser: Browser, path: str, said: str) -> None:
    answer = browser.get(path)
    assert answer.status_code == 200
    notice = answer.text.split('class="notice warn">')[1].split("</p>")[0]
    assert said in notice


def test_a_version_that_is_not_there_is_a_404(browser: Browser) -> None:
    assert browser.get("/data/dev/rides/9").status_code == 404
    assert browser.get("/data/dev/nothing").status_code == 404


@pytest.mark.parametrize("user", ["ada", "grace", "linus", "eve"])
def test_pages_follow_the_right_to_read_data(own: Scene, browser: Browser, user: str) -> None:
    with own.house.read(user, "dev") as ctx:
        may = identity.decide(ctx, Action.DATA_READ).allowed
    theirs = Browser(pages.create(own.contexts, own.settings), user)
    assert ("/data/dev/rides" in theirs.get("/data").text) == may
    assert theirs.get("/data/dev/rides/1").status_code == (200 if may else 403)
