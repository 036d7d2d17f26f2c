"""The command line: one short module a verb in `commands/`, imported when it is called for."""

from __future__ import annotations

import contextlib
import difflib
import errno
import os
import sys
from importlib import import_module
from typing import Any, NoReturn

import click

from lmd_trialsim import __version__

VERBS = ("run", "validate", "exact", "active", "calibrate", "check", "trace", "list", "new", "schema", "evidence")
INTERRUPTED = 130  # what shells make of Ctrl-C


class Verbs(click.Group):
    """A group whose commands are imported one by one, and whose refusals are one line each."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """Return the verbs in the order of a day's work."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        """Return the command `name`, or None."""
        if name not in VERBS:
            return None
        found: click.Command = import_module(f"lmd_trialsim.commands.{name}").command
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command; of an unknown one say which was probably meant."""
        if args and not args[0].startswith("-") and args[0] not in VERBS:
            near = difflib.get_close_matches(args[0], VERBS, 1)
            guess = f"Did you mean {near[0]}?" if near else f"The commands are {', '.join(VERBS)}."
            ctx.fail(f"there is no command '{args[0]}'. {guess}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; Ctrl-C ends it in one line."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except KeyboardInterrupt:
            click.echo("lmd-trialsim: interrupted; nothing more was written.", err=True)
            ctx.exit(INTERRUPTED)
        return result

    def main(self, args: Any = None, prog_name: str | None = None, *rest: Any, **extra: Any) -> NoReturn:
        """Run, and exit: 0, 2 for a mistake of the user, 130 for Ctrl-C. A mistake is one line on stderr."""
        given = sys.argv[1:] if args is None else list(args)
        extra["standalone_mode"] = False
        try:
            status = super().main(given or ["--help"], prog_name or "lmd-trialsim", *rest, **extra)
        except click.UsageError as error:
            place = error.ctx.command_path if error.ctx else self.name
            click.echo(f"{place}: {' '.join(error.format_message().split())}", err=True)
            status = error.exit_code
        except click.ClickException as error:
            error.show()
            status = error.exit_code
        except click.Abort:
            status = INTERRUPTED
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
                raise
            click.echo(f"lmd-trialsim: the output cannot be written: {error.strerror}.", err=True)
            _drop_stdout()
            status = 2
        sys.exit(status if isinstance(status, int) else 0)


def _drop_stdout() -> None:
    """Let what is still buffered go nowhere, so that it does not fail a second time at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(
    cls=Verbs, name="lmd-trialsim", context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80}
)
@click.version_option(__version__, "--version", prog_name="lmd-trialsim", message="%(prog)s %(version)s")
def commands() -> None:
    """\b
    lmd-trialsim new trial.yaml       write a small scenario to begin with
    lmd-trialsim validate trial.yaml  find every mistake in it
    lmd-trialsim run trial.yaml       the table of operating characteristics

    Simulate adaptive trials in leptomeningeal metastatic disease. A scenario crosses truths with designs; every
    number comes with its Monte Carlo standard error. `lmd-trialsim list` shows the scenarios that are included.
    """


def main() -> None:
    """Run the command line."""
    commands()
