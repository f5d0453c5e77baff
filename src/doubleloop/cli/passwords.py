"""Asking for a password: hidden on a terminal, or the first line of standard input; never an argument."""

from __future__ import annotations

import sys

import click

from doubleloop.base import clock, errors

_NO_TERMINAL = "There is no terminal to ask for the password on"
_CURE = "Add --password-stdin and give it on standard input."


def known(user: str, stdin: bool) -> str:
    """The password of an existing login."""
    return _line() if stdin else _ask(f"Password of {user}", confirm=False)


def new(user: str, stdin: bool) -> str:
    """A password to set: asked for twice."""
    return _line() if stdin else _ask(f"New password of {user}", confirm=True)


def seconds(text: str) -> float:
    try:
        return clock.duration(text).total_seconds()
    except ValueError as error:
        raise errors.InvalidInput(str(error), where=errors.Where("--lifetime")) from error


def _ask(question: str, *, confirm: bool) -> str:
    if not sys.stdin.isatty():
        raise errors.InvalidInput(_NO_TERMINAL, cure=_CURE)
    return str(click.prompt(question, hide_input=True, confirmation_prompt=confirm, err=True))


def _line() -> str:
    text = sys.stdin.readline().rstrip("\r\n")
    if not text:
        raise errors.InvalidInput("Standard input holds no password", cure="Give it as the first line.")
    return text
