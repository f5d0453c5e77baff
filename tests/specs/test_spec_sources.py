"""YAML as people write it: values with their lines, and every way to get it wrong said with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from doubleloop.base import errors
from doubleloop.specs import pointers, sources


def read(text: str) -> tuple[dict, sources.Source]:
    return sources.read(text, "job.yml", Path("/base"))


def test_every_value_knows_its_line() -> None:
    _, source = read("name: a\njobs:\n  prep:\n    inputs:\n      x: 1\n    list:\n    - p\n    - q: 2\n")
    assert source.where("jobs.prep.inputs.x") == errors.Where("job.yml", 5, "jobs.prep.inputs.x")
    assert source.where("jobs.prep.list.1.q").line == 8
    assert source.where("jobs.prep.list[1].q").line == 8


def test_a_path_that_was_not_written_points_at_what_is_around_it() -> None:
    _, source = read("jobs:\n  prep:\n    code: src\n")
    assert source.where("jobs.prep.inputs.x") == errors.Where("job.yml", 2, "jobs.prep.inputs.x")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("true", True), ("False", False), ("'false'", "false"), ("12", 12), ("-3", -3), ("0x1F", 31), ("0o17", 15),
        ("1.5", 1.5), ("1e-5", 1e-5), (".5", 0.5), ("~", None), ("null", None), ("", None), ("abc", "abc"),
        ("2024-01-02", "2024-01-02"), ("10:30:00", "10:30:00"), ("1_000", "1_000"), ("'12'", "12"), ('"yes"', "yes"),
        ("no", "no"), (".nan", ".nan"), ("9" * 500, "9" * 500),
    ],
)  # fmt: skip
def test_plain_scalars_follow_yaml_1_2(written: str, meant: object) -> None:
    value = read(f"a: {written}\n")[0]["a"]
    assert value == meant
    assert isinstance(value, bool) == isinstance(meant, bool)


def test_a_number_keeps_the_text_it_was_written_with() -> None:
    data, _ = read("a: 1.10\nb: 007\n")
    assert (data["a"].text, data["b"].text) == ("1.10", "007")


def test_keys_are_texts_even_where_yaml_1_1_sees_a_boolean() -> None:
    assert read("on: monitor.alert\n1: x\nno: y\n")[0] == {"on": "monitor.alert", "1": "x", "no": "y"}


def test_anchors_and_merges_are_read_and_own_keys_win() -> None:
    data, source = read("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\n")
    assert data["use"] == {"x": 1, "y": 3}
    assert source.where("use.y").line == 4


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "'a' is written twice, here and in line 1"),
        ("a:\n  b: 1\n  b: 2\n", 3, "'b' is written twice, here and in line 2"),
        ("a:\n\t- 1\n", 2, "indented with a tab"),
        ("a: [1\n", 1, "not valid YAML"),
        ("a: b: c\n", 1, "mapping values are not allowed here"),
        ("a: 'x\n", 1, "not valid YAML"),
        ("- a\n- b\n", 1, "does not hold a mapping"),
        ("just text\n", 1, "does not hold a mapping"),
        ("a: 1\n---\nb: 2\n", 2, "more than one YAML document"),
        ("a: *missing\n", 1, "undefined alias"),
        ("a: !ruby x\n", 1, "tag '!ruby'"),
        ("name: {{NAME}}\n", 1, "template"),
        ("name: {{NAME}}-x\n", 1, "template"),
    ],
)
def test_wrong_yaml_is_refused_with_file_and_line(text: str, line: int, says: str) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        read(text)
    assert caught.value.where is not None
    assert (caught.value.where.file, caught.value.where.line) == ("job.yml", line)
    assert says in caught.value.what


@pytest.mark.parametrize("text", ["", "# only a remark\n", "\n\n", "---\n"])
def test_an_empty_file_is_refused(text: str) -> None:
    with pytest.raises(errors.InvalidInput):
        read(text)


def test_aliases_that_multiply_are_stopped() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)
    )
    with pytest.raises(errors.InvalidInput, match="more than"):
        read(bomb)


def test_an_alias_inside_itself_is_stopped() -> None:
    with pytest.raises(errors.InvalidInput):
        read("a: &a [*a]\n")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("3", 3), ("true", True), ("azureml:x@latest", "azureml:x@latest"), ("@x", "@x"), ("a: b", "a: b"),
        ("*x", "*x"),
        ("{a: 1, b: [x]}", {"a": 1, "b": ["x"]}), ("[1, 2]", [1, 2]), ("'3'", "3"), ("", None), ("%x", "%x"),
    ],
)  # fmt: skip
def test_values_of_set_are_typed_like_yaml(text: str, meant: object) -> None:
    assert sources.value(text) == meant


@given(st.lists(st.text(alphabet="ab.[]\\0-1é\n", max_size=5), min_size=1, max_size=4))
@example(["tags", "a.b", "0"])
@example(["", "[0]", "a\\", "."])
def test_pointers_survive_whatever_is_in_keys(keys: list[str]) -> None:
    assert pointers.split(pointers.join(keys)) == tuple(keys)


def test_pointers_are_read_as_people_write_them() -> None:
    assert pointers.split("a[0].b") == ("a", "0", "b") == pointers.split("a.0.b")
    assert pointers.split("jobs.x[1][2]") == ("jobs", "x", "1", "2")
    assert pointers.split("tags.a\\.b") == ("tags", "a.b")
    assert pointers.split("C:\\data") == ("C:\\data",)
    for wrong in (".a", "a..b", "a.", "."):
        with pytest.raises(errors.InvalidInput, match="is not a path into a file"):
            pointers.split(wrong)


def test_put_makes_maps_and_appends_to_lists() -> None:
    data: dict = {"steps": [10]}
    pointers.put(data, ("a", "b", "c"), 1)
    pointers.put(data, ("steps", "1"), 20)
    assert data == {"steps": [10, 20], "a": {"b": {"c": 1}}}


@pytest.mark.parametrize("pointer", [("name", "x"), ("steps", "7"), ("steps", "x")])
def test_put_refuses_paths_through_values_and_past_the_end(pointer: tuple[str, ...]) -> None:
    with pytest.raises(errors.InvalidInput, match="cannot set"):
        pointers.put({"name": "n", "steps": [1]}, pointer, 1)


def test_a_source_survives_the_wire() -> None:
    _, source = read("a:\n  b.c: 1\n  d: [x]\n")
    back = sources.from_wire(source.to_wire())
    assert back.where(("a", "b.c")) == source.where(("a", "b.c"))
    assert back.where("a.d.0").line == 3
