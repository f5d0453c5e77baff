"""Graphs are drawn in layers: everything that comes before stands to the left, nothing lies on anything else."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doubleloop.console import jobs, layout
from doubleloop.jobs import model, planning

DIAMOND = [("a", "b", "x"), ("a", "c", "y"), ("b", "d", ""), ("c", "d", "z")]


def test_layers_follow_the_longest_way() -> None:
    links = [("a", "b", ""), ("b", "c", ""), ("a", "c", ""), ("c", "d", "")]
    assert layout.layers("abcd", links) == {"a": 0, "b": 1, "c": 2, "d": 3}
    assert layout.layers("abcd", DIAMOND) == {"a": 0, "b": 1, "c": 1, "d": 2}


def test_a_cycle_is_told() -> None:
    with pytest.raises(ValueError, match="a, b"):
        layout.draw("ab", [("a", "b", ""), ("b", "a", "")])


def test_one_step_alone_and_none_at_all_are_drawn() -> None:
    alone = layout.draw(["only"], [])
    assert [(box.name, box.x, box.y) for box in alone.boxes] == [("only", layout.MARGIN, layout.MARGIN)]
    assert layout.draw([], []).boxes == ()


def test_several_outputs_between_the_same_steps_share_a_line() -> None:
    drawn = layout.draw("ab", [("a", "b", "train"), ("a", "b", "holdout"), ("a", "b", "train")])
    assert [(line.source, line.target, line.label) for line in drawn.lines] == [("a", "b", "train, holdout")]


def test_links_to_what_is_not_there_are_left_out() -> None:
    assert layout.draw("a", [("gone", "a", "")]).lines == ()


def test_a_known_crossing_is_taken_out() -> None:
    # In the order of the file a-d and b-c cross; swapping one layer takes that away.
    drawn = layout.draw("abcd", [("a", "d", ""), ("b", "c", "")])
    y = {box.name: box.y for box in drawn.boxes}
    assert (y["a"] < y["b"]) == (y["d"] < y["c"])


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[str], list[layout.Link]]:
    names = [f"s{number}" for number in range(draw(st.integers(1, 14)))]
    pairs = list(itertools.combinations(names, 2))
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=30)) if pairs else []
    return draw(st.permutations(names)), [(source, target, f"{source}out") for source, target in chosen]


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_no_box_lies_on_another_and_lines_go_from_side_to_side(graph: tuple[list[str], list[layout.Link]]) -> None:
    names, links = graph
    drawn = layout.draw(names, links)
    boxes = {box.name: box for box in drawn.boxes}
    assert set(boxes) == set(names)
    for one, other in itertools.combinations(drawn.boxes, 2):
        apart_x = abs(one.x - other.x) >= layout.WIDTH
        assert apart_x or abs(one.y - other.y) >= layout.HEIGHT
    for box in drawn.boxes:
        assert box.x >= 0 and box.x + box.width <= drawn.width
        assert box.y >= 0 and box.y + box.height <= drawn.height
    assert {(line.source, line.target) for line in drawn.lines} == {(source, target) for source, target, _ in links}
    for line in drawn.lines:
        source, target = boxes[line.source], boxes[line.target]
        assert source.x + source.width < target.x
        numbers = [float(each) for each in re.findall(r"-?\d+(?:\.\d+)?", line.path)]
        assert numbers[:2] == pytest.approx([source.x + source.width, source.y + source.height / 2], abs=0.01)
        assert numbers[-2:] == pytest.approx([target.x, target.y + target.height / 2], abs=0.01)


def test_what_is_inside_a_group_stands_to_the_right_of_it() -> None:
    tasks = [
        model.Task("prep", "x", "e"), model.Task("search", "", "e", needs=("prep",)),
        model.Task("search.0", "x", "e", parent="search"), model.Task("search.1", "x", "e", parent="search"),
    ]  # fmt: skip
    steps = tuple(model.Step("job", each.name, each, model.Status.COMPLETED) for each in tasks)
    drawing, inside = jobs.draw(model.Graph(steps, planning.edges(tasks)))
    place = {box.name: box.x for box in drawing.boxes}
    assert place["prep"] < place["search"] < place["search.0"] == place["search.1"]
    assert inside == {("search", "search.0"), ("search", "search.1")}
    assert {(line.source, line.target) for line in drawing.lines} == {("prep", "search"), *inside}
