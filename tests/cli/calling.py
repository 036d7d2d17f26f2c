"""How these tests call the command line: in this process, in one of its own, or at a terminal of 80 columns."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from lmd_trialsim.cli import commands

HERE = Path(__file__).parent
BINARY = str(HERE / "binary.yaml")
EVENTS = str(HERE / "events.yaml")
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def call(*arguments: object, status: int = 0) -> Result:
    """Call the command line in this process and insist on the exit status."""
    result = CliRunner().invoke(commands, [str(argument) for argument in arguments])
    assert result.exit_code == status, (result.exit_code, result.stdout, result.stderr, result.exception)
    return result


def refusal(*arguments: object) -> list[str]:
    """Return the lines of a refusal: status 2, nothing on stdout."""
    result = call(*arguments, status=2)
    assert result.stdout == ""
    return result.stderr.splitlines()


def process(*arguments: object, **extra: Any) -> subprocess.CompletedProcess[str]:
    """Call the command line in a process of its own."""
    command = [sys.executable, "-m", "lmd_trialsim", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **extra)


def at_terminal(*arguments: object) -> str:
    """Return what a terminal of 80 columns is sent, stderr and escape codes included."""
    parent, child = pty.openpty()
    environment = {**os.environ, "COLUMNS": "80", "LINES": "40", "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "lmd_trialsim", *map(str, arguments)]
    running = subprocess.Popen(command, stdin=child, stdout=child, stderr=child, env=environment)
    os.close(child)
    received = b""
    while True:
        try:
            piece = os.read(parent, 65536)
        except OSError:  # Linux says so when the other side has gone.
            break
        if not piece:
            break
        received += piece
    os.close(parent)
    assert running.wait() == 0, received.decode()
    return received.decode()


def lines_of(sent: str) -> list[str]:
    """Return the lines as the terminal shows them."""
    return [ESCAPE.sub("", line) for line in re.split(r"[\r\n]+", sent)]
