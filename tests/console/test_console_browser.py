"""The console in a real browser: what a person sees and does with eyes, mouse and keyboard."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from console_scene import PASSWORD, Served
from PIL import Image

from doubleloop.data import commands as data
from doubleloop.labeling import commands as labeling
from doubleloop.labeling import queries as projects
from doubleloop.specs import documents
from doubleloop.storage import ports as storage

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="no chromium on this machine (apt-get install chromium, or CHROMIUM=…)"
    ),
]
WAIT_MS = 60_000


@dataclass
class Person:
    """A page of a browser, what went wrong on it, and where it went."""

    page: Any
    url: str
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def go(self, path: str) -> Any:
        answer = self.page.goto(self.url + path)
        return answer

    def log_in(self, user: str) -> None:
        self.go("/login")
        self.page.get_by_label("User name").fill(user)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.keyboard.press("Enter")
        self.page.wait_for_url(self.url + "/")

    def sees(self, text: str) -> None:
        playwright.expect(self.page.locator("main")).to_contain_text(text, timeout=WAIT_MS)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as runner:
        browser = runner.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def person(chromium: Any, served: Served) -> Iterator[Callable[..., Person]]:
    """``person(user)``: somebody at a browser of their own. At the end nothing may have gone wrong, nor abroad."""
    known: list[Person] = []

    def come(user: str | None = None, **settings: Any) -> Person:
        context = chromium.new_context(viewport={"width": 1280, "height": 860}, **settings)
        context.set_default_timeout(WAIT_MS)
        found = Person(context.new_page(), served.url)
        found.page.on("console", lambda message: message.type == "error" and found.complaints.append(message.text))
        found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
        found.page.on("request", lambda request: found.asked.append(request.url))
        known.append(found)
        if user:
            found.log_in(user)
        return found

    yield come
    for each in known:
        each.page.context.close()
        assert each.complaints == []
        assert [address for address in each.asked if not address.startswith((served.url, "data:"))] == []


def test_a_release_is_approved_by_keyboard_and_only_by_who_may(person: Callable[..., Person], served: Served) -> None:
    ada = person("ada")
    ada.sees("Waiting for a decision")
    ada.page.get_by_role("link", name="Release 2 of bikes:2").click()
    ada.sees("You cannot decide this.")
    assert ada.page.get_by_role("button", name="Approve").count() == 0

    grace = person("grace")
    grace.page.get_by_role("link", name="Decide").press("Enter")
    grace.sees("To prod?")
    check = grace.page.locator("summary", has_text="model quality")
    check.press("Enter")
    grace.sees("fits what is kept")
    grace.page.get_by_label("Comment").focus()
    grace.page.keyboard.type("better on the hold-out")
    grace.page.keyboard.press("Tab")
    assert grace.page.evaluate("document.activeElement.textContent") == "Approve"
    grace.page.keyboard.press("Enter")
    # The page follows the release to its end by itself, and so does the one of who only looks on.
    playwright.expect(grace.page.locator(".head .badge").first).to_have_text("completed", timeout=WAIT_MS)
    grace.sees("better on the hold-out")
    playwright.expect(ada.page.locator(".head .badge").first).to_have_text("completed", timeout=WAIT_MS)
    assert served.scene.release(served.scene.second).status == "completed"


def test_a_live_log_grows_and_the_page_ends_with_the_job(person: Callable[..., Person], served: Served) -> None:
    gate = served.scene.house.home / "go-on"
    command = f"echo first line && until [ -e {gate} ]; do sleep 0.1; done && echo last line"
    job = served.scene.submit(
        f"{{type: command, command: '{command}', environment: 'azureml:base@latest'}}", "growing-log"
    )
    ada = person("ada")
    ada.go(f"/jobs/dev/{job}")
    log = ada.page.locator("#log")
    playwright.expect(log).to_contain_text("first line", timeout=WAIT_MS)
    playwright.expect(ada.page.locator("#state .badge")).to_have_text("running", timeout=WAIT_MS)
    assert "last line" not in log.inner_text()
    gate.touch()
    playwright.expect(log).to_contain_text("last line", timeout=WAIT_MS)
    playwright.expect(ada.page.locator("#state .badge")).to_have_text("completed", timeout=WAIT_MS)
    assert log.inner_text().count("first line") == 1


def test_a_step_of_the_graph_is_chosen_by_keyboard(person: Callable[..., Person]) -> None:
    ada = person("ada")
    ada.go("/jobs/dev/bikes-training-1")
    ada.page.get_by_role("link", name="Step train: completed").press("Enter")
    playwright.expect(ada.page.locator("#step-h")).to_have_text("train")
    playwright.expect(ada.page.locator("#log")).to_contain_text("fitting 300 trees")


def test_the_monitors_charts_are_drawn_with_their_threshold_and_alerts(person: Callable[..., Person]) -> None:
    linus = person("linus")
    linus.go("/monitors/prod/bikes-monitor")
    canvases = linus.page.locator(".plot canvas")
    playwright.expect(canvases).to_have_count(2)
    for index in range(2):
        assert canvases.nth(index).evaluate(DRAWN) > 4
    playwright.expect(linus.page.locator(".u-legend").first).to_contain_text("threshold")
    playwright.expect(linus.page.locator(".u-legend").first).to_contain_text("alert")
    linus.page.evaluate(FIRST_RUN)
    linus.page.emulate_media(color_scheme="dark")  # has them drawn anew
    linus.page.wait_for_function(
        "() => { const x = document.querySelector('[data-chart]').chart.scales.x; return x.max - x.min === 86400; }"
    )
    linus.page.emulate_media(color_scheme="light")


# Leaves each chart its first time alone.
FIRST_RUN = """() => document.querySelectorAll("[data-chart]").forEach(box => {
  const chart = JSON.parse(box.dataset.chart);
  chart.times = chart.times.slice(0, 1);
  chart.lines.forEach(line => { line.values = line.values.slice(0, 1); line.alerts = line.alerts.slice(0, 1); });
  box.dataset.chart = JSON.stringify(chart);
})"""


# How many different colours a canvas holds: an empty one has one.
DRAWN = """canvas => {
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const seen = new Set();
  for (let at = 0; at < data.length; at += 4) seen.add(data.slice(at, at + 4).join());
  return seen.size;
}"""


def test_the_worst_example_of_an_alert_is_shown_when_it_is_opened(
    person: Callable[..., Person], served: Served
) -> None:  # fmt: skip
    alert, _, _ = served.scene.keep_example()
    linus = person("linus")
    linus.go(f"/alerts/prod/{alert.id}")
    linus.page.locator("summary", has_text="photo of r-1").press("Enter")
    image = linus.page.get_by_role("img", name="photo of r-1")
    playwright.expect(image).to_be_visible(timeout=WAIT_MS)
    assert image.evaluate("each => [each.naturalWidth, each.naturalHeight]") == [6, 4]


def test_the_key_shows_in_place(person: Callable[..., Person]) -> None:
    linus = person("linus")
    linus.go("/endpoints/prod/bikes")
    playwright.expect(linus.page.locator("#curl")).to_contain_text("••••")
    linus.page.get_by_role("button", name="Show the key").click()
    playwright.expect(linus.page.locator("#curl")).not_to_contain_text("••••")
    playwright.expect(linus.page.locator("#curl")).to_contain_text("Authorization: Bearer")


def test_the_chain_is_verified_in_place(person: Callable[..., Person]) -> None:
    linus = person("linus")
    linus.go("/audit")
    linus.page.get_by_role("link", name="Verify the whole chain").click()
    linus.sees("seals hold")


PAGES = [
    "/", "/releases", "/releases/release-one", "/jobs/dev", "/jobs/dev/bikes-training-1", "/endpoints",
    "/endpoints/prod/bikes", "/monitors", "/monitors/prod/bikes-monitor", "/labeling", "/models/bikes", "/audit",
    "/trace?id=release-one",
]  # fmt: skip
# The least contrast (WCAG 2) of any visible text with what stands behind it, and that text.
CONTRAST = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const shine = ([r, g, b]) => [r, g, b].map((each) => each / 255)
    .map((each) => (each <= 0.03928 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4))
    .reduce((sum, each, at) => sum + each * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (node) => {
    for (let each = node; each; each = each.parentElement) {
      const hue = getComputedStyle(each).backgroundColor;
      const parts = parse(hue);
      if (hue.startsWith("rgb") && (parts.length < 4 || parts[3] === 1)) return parts;
    }
    return [255, 255, 255];
  };
  let worst = [99, ""];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode.parentElement;
    if (!walk.currentNode.textContent.trim() || !node.offsetParent || node.closest("svg, canvas, [disabled]")) continue;
    const pair = [shine(parse(getComputedStyle(node).color)), shine(behind(node))].sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < worst[0]) worst = [ratio, walk.currentNode.textContent.trim().slice(0, 40)];
  }
  return worst;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_can_be_read_by_day_and_night(person: Callable[..., Person], scheme: str) -> None:
    linus = person("linus", color_scheme=scheme)
    for path in PAGES:
        assert linus.go(path).status == 200
        ratio, text = linus.page.evaluate(CONTRAST)
        assert ratio >= 4.5, (path, text, ratio)
    paper = linus.page.evaluate("getComputedStyle(document.body).backgroundColor")
    shade = sum(int(part) for part in paper.removeprefix("rgb(").rstrip(")").split(",")) / 3
    assert (shade < 60) == (scheme == "dark")


def test_no_page_is_wider_than_a_phone(person: Callable[..., Person]) -> None:
    linus = person("linus")
    linus.page.set_viewport_size({"width": 390, "height": 800})
    for path in PAGES:
        linus.go(path)
        assert linus.page.evaluate("document.documentElement.scrollWidth") <= 390, path


def test_the_charts_follow_a_change_from_day_to_night(person: Callable[..., Person]) -> None:
    linus = person("linus", color_scheme="light")
    linus.go("/monitors/prod/bikes-monitor")
    by_day = linus.page.locator(".plot canvas").first.evaluate("each => each.toDataURL()")
    linus.page.emulate_media(color_scheme="dark")
    playwright.expect(linus.page.locator(".plot canvas")).to_have_count(2)
    linus.page.wait_for_function("day => document.querySelector('.plot canvas').toDataURL() !== day", arg=by_day)


def test_who_comes_with_the_keyboard_can_skip_to_the_content(person: Callable[..., Person]) -> None:
    linus = person("linus")
    linus.go("/releases")
    linus.page.keyboard.press("Tab")
    assert linus.page.evaluate("document.activeElement.textContent") == "Skip to the content"
    linus.page.keyboard.press("Enter")
    linus.page.keyboard.press("Tab")
    assert linus.page.evaluate("document.activeElement.closest('main') !== null")


LABELING = """$schema: doubleloop/labeling
name: {name}
task: {task}
labels: [spam, {{name: ham, key: h}}]
guidelines: "Money asked for is **spam**.\\n\\n- be quick\\n- be kind"
data: azureml:{data}:1
{column}output: {name}-labelled
{more}"""
TRAIN = """train: {job: {type: command, command: "echo ${{inputs.rows}}", environment: "azureml:none@latest",
    inputs: {rows: {type: uri_file, path: "azureml:mails-labelled@latest"}}}}
"""
MAILS = ("pay me now", "see you at nine", "cheap pills")


def open_project(
    served: Served, name: str, task: str, data: str, column: str = "column: text\n", more: str = ""
) -> None:
    text = LABELING.format(name=name, task=task, data=data, column=column, more=more)
    house = served.scene.house
    labeling.create(house.contexts, house.actor("ada"), "dev", documents.parse(text, "project.yml", "/"))


def add_data(served: Served, name: str, files: dict[str, bytes]) -> None:
    house = served.scene.house
    blobs = house.contexts.port(storage.Blobs)
    entries = tuple(storage.Entry(path, blobs.put_bytes(each), len(each)) for path, each in sorted(files.items()))
    tree = f"tree:sha256:{blobs.put_entries(entries).sha256}"
    single = next(iter(files)) if len(files) == 1 else None
    with house.write("ada", "dev") as ctx:
        data.add_version(ctx, name, f"{tree}/{single}" if single else tree, "uri_file" if single else "uri_folder")


def said(served: Served, name: str) -> dict[int, list[tuple[str, Any]]]:
    with served.scene.house.read("ada", "dev") as ctx:
        return {
            each.number: [(str(one.said), one.value) for one in projects.said(ctx, name, each.number)]
            for each in projects.items(ctx, name).items
        }


@pytest.fixture(scope="module")
def mails(served: Served) -> str:
    add_data(served, "mails", {"mails.csv": ("text,guess\n" + "".join(f"{each},ham\n" for each in MAILS)).encode()})
    open_project(served, "mails", "text_classification", "mails", more="prelabels: guess\nreview: required\n" + TRAIN)
    return "mails"


def at_item(person: Person, number: int) -> None:
    """Wait for the page of an item, until its keys mean something."""
    playwright.expect(person.page.locator("h1")).to_have_text(f"Item {number}")
    person.page.wait_for_selector("#desk[data-ready]")


def test_texts_are_labelled_by_keys_alone_and_reviewed_by_another(
    person: Callable[..., Person], served: Served, mails: str
) -> None:
    ada = person("ada")
    ada.go("/labeling")
    ada.page.get_by_role("link", name=mails).click()
    ada.sees("0 of 3")
    ada.sees("be kind")
    ada.page.get_by_role("button", name="Label", exact=True).press("Enter")
    at_item(ada, 1)
    ada.sees("pay me now")
    assert ada.page.get_by_label("ham").is_checked(), "what the model proposes"
    ada.page.keyboard.press("1")
    ada.page.keyboard.press("Enter")
    at_item(ada, 2)
    ada.page.keyboard.press("s")
    at_item(ada, 3)
    ada.page.keyboard.press("u")
    at_item(ada, 2)
    ada.page.keyboard.press("h")
    assert ada.page.get_by_label("ham").is_checked()
    assert ada.page.evaluate(CONTRAST)[0] >= 4.5
    ada.page.keyboard.press("Enter")
    at_item(ada, 3)
    ada.page.keyboard.press("1")
    ada.page.keyboard.press("Enter")
    ada.sees("all are labelled")
    assert said(served, mails) == {
        1: [("label", "spam")], 2: [("skip", None), ("undo", None), ("label", "ham")], 3: [("label", "spam")],
    }  # fmt: skip

    grace = person("grace")
    grace.go(f"/labeling/dev/{mails}")
    grace.page.get_by_role("link", name="Review 3").click()
    grace.sees("label by ada")
    for number in (1, 2, 3):
        at_item(grace, number)
        grace.page.keyboard.press("Enter")
    grace.sees("No item waits for your review.")
    grace.go(f"/labeling/dev/{mails}")
    assert grace.page.evaluate(CONTRAST)[0] >= 4.5
    grace.page.get_by_role("button", name="Export to mails-labelled").click()
    playwright.expect(grace.page.locator(".head .badge").first).to_have_text("exported")
    grace.sees("mails-labelled:1")
    ada.go("/")
    ada.page.get_by_role("link", name="Training on mails-labelled:1 is proposed").click()
    ada.sees("nothing starts by itself")
    ada.sees(f"doubleloop labeling train {mails} -w dev")
    ada.page.get_by_role("button", name="Start training").click()
    ada.page.wait_for_url("**/jobs/dev/mails-train-*")


def test_spans_are_marked_by_selecting_text(person: Callable[..., Person], served: Served) -> None:
    add_data(served, "letters", {"letters.csv": "text\n😀 Ada met Babbage\n".encode()})
    open_project(served, "letters", "entity_spans", "letters")
    ada = person("ada")
    ada.go("/labeling/dev/letters")
    ada.page.get_by_role("button", name="Label", exact=True).click()
    at_item(ada, 1)
    select = """([start, end]) => {
      const range = document.createRange();
      const at = (offset) => {
        const walk = document.createTreeWalker(document.getElementById("text"), NodeFilter.SHOW_TEXT);
        while (walk.nextNode()) {
          if (offset <= walk.currentNode.length) return [walk.currentNode, offset];
          offset -= walk.currentNode.length;
        }
      };
      range.setStart(...at(start)); range.setEnd(...at(end));
      getSelection().removeAllRanges(); getSelection().addRange(range);
    }"""
    # In halves of characters, as a browser counts: the smile is two of them.
    for (start, end), key in (((3, 6), "h"), ((11, 18), "1"), ((7, 10), "1")):
        ada.page.evaluate(select, [start, end])
        ada.page.keyboard.press(key)
    ada.page.keyboard.press("Backspace")
    assert ada.page.locator("mark").all_inner_texts() == ["Ada", "Babbage"]
    ada.page.keyboard.press("Enter")
    ada.sees("You hold no item")
    spans = [{"start": 2, "end": 5, "label": "ham"}, {"start": 10, "end": 17, "label": "spam"}]
    assert sorted(said(served, "letters")[1][0][1], key=lambda each: each["start"]) == spans


def test_images_are_shown_and_labelled_by_keys_on_a_narrow_page_too(
    person: Callable[..., Person], served: Served
) -> None:
    pictures = {}
    for name, color in (("blue", "blue"), ("red", "red")):
        buffer = io.BytesIO()
        Image.new("RGB", (64, 48), color).save(buffer, "PNG")
        pictures[f"{name}.png"] = buffer.getvalue()
    add_data(served, "photos", pictures)
    open_project(served, "photos", "image_classification", "photos", column="")
    ada = person("ada")
    ada.page.set_viewport_size({"width": 390, "height": 800})
    ada.go("/labeling/dev/photos")
    assert ada.page.evaluate("document.documentElement.scrollWidth") <= 390
    ada.page.get_by_role("button", name="Label", exact=True).click()
    at_item(ada, 1)
    ada.page.wait_for_function("document.querySelector('.shown img').naturalWidth === 64")
    assert ada.page.evaluate("document.documentElement.scrollWidth") <= 390
    ada.page.keyboard.press("1")
    ada.page.keyboard.press("Enter")
    at_item(ada, 2)
    assert said(served, "photos")[1] == [("label", "spam")]


def png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "gray").save(buffer, "PNG")
    return buffer.getvalue()


def test_boxes_and_polygons_are_drawn_by_mouse_and_by_keys_on_what_the_model_proposes(
    person: Callable[..., Person], served: Served
) -> None:
    proposed = '"[{""label"": ""spam"", ""box"": [0, 0, 40, 20]}]"'
    add_data(served, "maps-folder", {"a.png": png(200, 100), "b.png": png(200, 100)})
    add_data(served, "maps", {"maps.csv": f"text,guess\na.png,{proposed}\nb.png,[]\n".encode()})
    more = "images: azureml:maps-folder:1\nprelabels: guess\n"
    open_project(served, "maps", "image_segmentation", "maps", more=more)
    ada = person("ada")
    ada.go("/labeling/dev/maps")
    ada.page.get_by_role("button", name="Label", exact=True).click()
    at_item(ada, 1)
    area = ada.page.locator("#board svg").bounding_box()
    mouse, keys, scale = ada.page.mouse, ada.page.keyboard, area["width"] / 200

    def go(x: int, y: int) -> None:
        mouse.move(area["x"] + x * scale, area["y"] + y * scale)

    def click(x: int, y: int) -> None:
        go(x, y)
        mouse.down()
        mouse.up()

    keys.press("h")
    go(100, 10)
    mouse.down()
    go(150, 60)
    mouse.up()
    keys.press("1")
    for place in ((20, 50), (60, 50), (60, 90), (20, 50)):
        click(*place)
    click(10, 10)  # what the model proposed, which is another label's and lies lower
    for key in ("h", "Shift+ArrowDown", "Shift+ArrowDown"):
        keys.press(key)
    keys.press("Enter")
    at_item(ada, 2)
    assert sorted(said(served, "maps")[1][0][1], key=str) == [
        {"box": [0.0, 2.0, 40.0, 20.0], "label": "ham"}, {"box": [100.0, 10.0, 50.0, 50.0], "label": "ham"},
        {"label": "spam", "polygon": [[20.0, 50.0], [60.0, 50.0], [60.0, 90.0]]},
    ]  # fmt: skip

    # By keys alone, from the middle: a step is 4 pixels here.
    for key in ("ArrowUp", "Space", "ArrowRight", "ArrowRight", "Shift+ArrowDown", "Space", "Enter"):
        keys.press(key)
    for key in ("Space", "ArrowLeft", "Space", "ArrowUp", "Space", "ArrowUp", "Space", "Backspace", "Enter"):
        keys.press(key)
    for key in ("ArrowDown", "Space", "Escape", "PageDown", "h", "ArrowLeft", "PageDown", "PageDown", "Escape"):
        keys.press(key)
    assert ada.page.locator("#board .shape").count() == 2
    keys.press("Enter")
    ada.sees("You hold no item")
    assert sorted(said(served, "maps")[2][0][1], key=str) == [
        {"box": [96.0, 50.0, 8.0, 1.0], "label": "ham"},
        {"label": "spam", "polygon": [[108.0, 51.0], [104.0, 51.0], [104.0, 47.0]]},
    ]  # fmt: skip


def test_generated_texts_are_ranked_by_dragging_and_by_keys(person: Callable[..., Person], served: Served) -> None:
    add_data(served, "drafts", {"drafts.csv": b"text\nwhich is better?\nand which here?\n"})
    open_project(served, "drafts", "ranking", "drafts")
    ada = person("ada")
    ada.go("/labeling/dev/drafts")
    ada.page.get_by_role("button", name="Label", exact=True).click()
    at_item(ada, 1)
    ada.page.locator("#ranks li", has_text="ham").drag_to(ada.page.locator("#ranks li", has_text="spam").first)
    assert ada.page.locator("#value").input_value() == '["ham","spam"]'
    ada.page.keyboard.press("Enter")
    at_item(ada, 2)
    for key in ("h", "1", "ArrowUp", "Enter"):
        ada.page.keyboard.press(key)
    ada.sees("You hold no item")
    assert [said(served, "drafts")[number][0][1] for number in (1, 2)] == [["ham", "spam"], ["spam", "ham"]]
