"""Expressions are found, checked and filled in; optional blocks vanish when what they hold is not set."""

from __future__ import annotations

import pytest

from doubleloop.base import errors
from doubleloop.specs import expressions

WHERE = errors.Where("p.yml", 7, "command")


@pytest.mark.parametrize(
    ("text", "scope", "name", "step"),
    [
        ("${{inputs.x}}", "inputs", "x", ""),
        ("${{ outputs.model_dir }}", "outputs", "model_dir", ""),
        ("${{parent.inputs.data-set}}", "parent.inputs", "data-set", ""),
        ("${{parent.outputs.m}}", "parent.outputs", "m", ""),
        ("${{parent.jobs.prep_data.outputs.train}}", "parent.jobs.outputs", "train", "prep_data"),
        ("${{name}}", "name", "", ""),
        ("${{default_datastore}}", "default_datastore", "", ""),
        ("${{search_space.lr}}", "search_space", "lr", ""),
        ("${{fact.endpoint.name}}", "fact", "endpoint.name", ""),
        ("${{secrets.TOKEN}}", "secrets", "TOKEN", ""),
    ],
)
def test_every_form_is_known(text: str, scope: str, name: str, step: str) -> None:
    (found,) = expressions.references(f"a {text} b")
    assert (found.scope, found.name, found.step, found.optional) == (scope, name, step, False)
    assert expressions.whole(text) == found


def test_references_come_in_order_and_know_their_optional_block() -> None:
    found = expressions.references("x ${{inputs.a}} $[[--b ${{inputs.b}}]] ${{outputs.c}}")
    assert [(item.key, item.optional) for item in found] == [
        ("inputs.a", False),
        ("inputs.b", True),
        ("outputs.c", False),
    ]


def test_whole_is_one_expression_and_nothing_else() -> None:
    assert expressions.whole("${{inputs.a}}-x") is None
    assert expressions.whole("${{inputs.a}}${{inputs.b}}") is None
    assert expressions.whole("plain") is None


@pytest.mark.parametrize("text", ["${{input.x}}", "${{parent.jobs.a.x}}", "${{}}", "${{inputs}}", "${{parent.x.y}}"])
def test_an_unknown_form_is_an_error_with_its_place(text: str) -> None:
    with pytest.raises(errors.InvalidInput, match="not an expression") as caught:
        expressions.references(text, WHERE)
    assert caught.value.where == WHERE


@pytest.mark.parametrize("text", ["${{inputs.x", "a $[[ --x ${{inputs.x}}", "$[[inputs]]"])
def test_unclosed_braces_and_empty_blocks_are_errors(text: str) -> None:
    with pytest.raises(errors.InvalidInput):
        expressions.check(text, WHERE)


def test_rendering_replaces_everything() -> None:
    text = "python a.py --x ${{inputs.x}} --out ${{ outputs.o }} $[[--lr ${{inputs.lr}} --n ${{inputs.x}}]] end"
    lookup = {"inputs.x": "1", "outputs.o": "/out", "inputs.lr": "0.1"}
    assert expressions.render(text, lookup) == "python a.py --x 1 --out /out --lr 0.1 --n 1 end"


def test_an_optional_block_goes_when_one_of_its_values_is_not_set() -> None:
    text = "run $[[--lr ${{inputs.lr}} --n ${{inputs.x}}]]end"
    assert expressions.render(text, {"inputs.lr": None, "inputs.x": "1"}) == "run end"


def test_values_are_not_read_as_expressions_again() -> None:
    for written in ("run --model $[[inputs.m]] --n 1", "run --model=$[[ inputs.m ]] --n 1"):
        assert expressions.render(written, {"inputs.m": None}) == "run  --n 1"
        assert expressions.render(written, {"inputs.m": "a"}).replace("=", " ") == "run --model a --n 1"
        assert [each.optional for each in expressions.references(written)] == [True]
    assert expressions.render("a$[[inputs.m]] b $[[inputs.m]]", {"inputs.m": None}) == "a b "
    assert expressions.render("${{inputs.x}}", {"inputs.x": "${{inputs.y}} $[[z]]"}) == "${{inputs.y}} $[[z]]"


def test_an_unset_value_outside_a_block_is_an_error() -> None:
    with pytest.raises(errors.InvalidInput, match="optional and not set"):
        expressions.render("${{inputs.x}}", {"inputs.x": None}, WHERE)


def test_an_undeclared_name_is_an_error_with_the_nearest_one() -> None:
    with pytest.raises(errors.InvalidInput, match="not declared") as caught:
        expressions.render("${{inputs.raw_dta}}", {"inputs.raw_data": "x"}, WHERE)
    assert caught.value.cure == "did you mean 'inputs.raw_data'?"
    assert caught.value.where == WHERE


def test_a_function_can_answer() -> None:
    assert expressions.render("${{parent.jobs.a.outputs.b}}", lambda e: f"{e.step}/{e.name}") == "a/b"


def test_shell_text_is_left_alone() -> None:
    text = 'for i in $(seq 3); do echo "${i} $[1+1] [[ -f x ]]"; done'
    assert expressions.render(text, {}) == text
