"""The program: runs a command and turns whatever ends it into a message on stderr and an exit code.

Exit codes: 0 done, 1 failed, 2 bad input, 3 not found, 4 not permitted or not logged in, 5 conflict, 6 unavailable,
130 stopped by Ctrl-C, 141 the reader of the output went away.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click

from doubleloop.base import errors
from doubleloop.cli import interrupts, tree

INTERRUPTED = 130
BROKEN_PIPE = 141


@click.command(
    cls=tree.Nouns,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Every noun and verb has its own --help. Names, flags and files are those of `az ml`.",
)
@click.option("--user", metavar="NAME", help="Act as another stored login (see `doubleloop login`).")
@click.option("--home", metavar="FOLDER", help="Home folder  [default: $DOUBLELOOP_HOME or ~/.doubleloop]")
@click.option("--reason", metavar="TEXT", help="Why, for the record  [default: $DOUBLELOOP_REASON]")
@click.option("--debug", is_flag=True, help="Show where in the program an error came from.")
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=lambda ctx, _, on: _version(ctx, on)
)
@click.pass_context
def program(ctx: click.Context, user: str | None, home: str | None, reason: str | None, debug: bool) -> None:
    """MLOps v2 as one open, self-hosted system: inner loop, outer loop, and the reactions that close them."""
    given = {"user": user, "home": home, "reason": reason, "debug": debug}
    ctx.obj = {key: value for key, value in given.items() if value}


def _version(ctx: click.Context, asked: bool) -> None:
    if asked:
        from importlib import metadata

        click.echo(f"doubleloop {metadata.version('doubleloop')}")
        ctx.exit()


def main() -> NoReturn:
    """The entry point of the ``doubleloop`` script."""
    interrupts.install()
    if "_DOUBLELOOP_COMPLETE" in os.environ:
        program.main(prog_name="doubleloop")
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError:
        _hush()  # said already; Python would say it again at its end
    sys.exit(code)


def run(args: list[str]) -> int:
    """Run one command line; returns the exit code."""
    try:
        # Not `program.main`: click would answer some of these itself, a broken pipe among them.
        with program.make_context("doubleloop", list(args)) as context:
            program.invoke(context)
        sys.stdout.flush()
        return 0
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("Stopped.", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        return _hush()
    except errors.DoubleloopError as error:
        return _explain(error, args)
    except click.ClickException as error:
        return _explain(_usage(error), args)
    except OSError as error:
        if "--debug" in args:
            raise
        what = "The output cannot be written" if error.filename is None else f"{error.filename} cannot be used"
        return _explain(errors.DoubleloopError(f"{what}: {error.strerror or error}"), args)
    except RecursionError:
        return _explain(errors.InvalidInput("The input is nested too deeply"), args)
    except Exception as error:
        if "--debug" in args:
            raise
        what = f"{type(error).__name__}: {error}".rstrip(": ")
        return _explain(errors.DoubleloopError(what, cure="Run it again with --debug and report what it shows."), args)


def _usage(error: click.ClickException) -> errors.DoubleloopError:
    context = getattr(error, "ctx", None)
    cure = f"See `{context.command_path} --help`." if context else ""
    return errors.InvalidInput(error.format_message().rstrip("."), cure=cure)


def _explain(error: errors.DoubleloopError, args: list[str]) -> int:
    click.echo(f"error: {error.what}", err=True)
    if error.where:
        click.echo(f"  where: {error.where}", err=True)
    if error.cure:
        click.echo(f"  cure: {error.cure}", err=True)
    if "--debug" in args:
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    return error.exit_code


def _hush() -> int:
    """The reader of our output went away (``| head``): be quiet, also when Python flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BROKEN_PIPE
