"""The command line answers before anything heavy is imported."""

import subprocess
import sys

import pytest
from calling import call, process

from lmd_trialsim import __version__
from lmd_trialsim.cli import VERBS

HEAVY = {"numpy", "scipy", "numba", "llvmlite", "pydantic", "ruamel", "rich", "pandas"}


def imported(*code: str) -> set[str]:
    """Return the top-level packages that a fresh Python imports."""
    run = subprocess.run([sys.executable, "-X", "importtime", *code], capture_output=True, text=True, check=True)
    names = (line.rpartition("|")[2].strip() for line in run.stderr.splitlines() if line.startswith("import time:"))
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], *([verb, "--help"] for verb in VERBS)])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    found = imported("-m", "lmd_trialsim", *arguments)
    assert "click" in found
    assert not found & HEAVY


def test_the_package_imports_nothing_heavy_until_asked() -> None:
    assert not imported("-c", "import lmd_trialsim; dir(lmd_trialsim)") & HEAVY
    found = imported("-c", "from lmd_trialsim import Scenario, Results, run; assert callable(run)")
    assert "pydantic" in found


def test_the_package_says_what_it_lacks() -> None:
    import lmd_trialsim

    assert {"Scenario", "run", "Results", "exact", "__version__"} <= set(dir(lmd_trialsim))
    with pytest.raises(AttributeError, match="has no attribute 'scenrio'"):
        lmd_trialsim.scenrio  # noqa: B018


def test_version() -> None:
    assert call("--version").stdout == f"lmd-trialsim {__version__}\n"
    assert process("--version").stdout == f"lmd-trialsim {__version__}\n"


@pytest.mark.parametrize("verb", VERBS)
def test_help_opens_with_an_example(verb: str) -> None:
    usage, empty, example, *_ = call(verb, "--help").stdout.splitlines()
    assert usage.startswith(f"Usage: lmd-trialsim {verb}")
    assert empty == ""
    assert example.startswith(f"  lmd-trialsim {verb}")


def test_help_lists_the_verbs_and_fits_80_columns() -> None:
    pages = [call("--help").stdout, call().stdout, *(call(verb, "--help").stdout for verb in VERBS)]
    assert pages[0] == pages[1]
    assert all(f"  {verb} " in pages[0] for verb in VERBS)
    assert max(len(line) for page in pages for line in page.splitlines()) <= 80
