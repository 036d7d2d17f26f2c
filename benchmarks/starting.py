"""Start-up of each scenario of the catalogue, cold and warm, and the memory of a long run; whole processes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measuring import Figure

CATALOGUE = Path(__file__).resolve().parent.parent / "scenarios"
LONG_RUN = 10_000_000


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "lmd_trialsim", *arguments]


def _seconds(command: list[str], cache: str) -> float:
    start = time.perf_counter()
    environment = os.environ | {"LMD_TRIALSIM_CACHE": cache}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - start


def measure() -> list[Figure]:
    """Return seconds for `--help`, and for 100 replicates of each scenario with an empty and with a full cache."""
    help_ = min(_seconds(_command("--help"), tempfile.gettempdir()) for _ in range(5))
    figures = [Figure("help", "s", help_, 0.3, None)]
    for path in sorted(CATALOGUE.glob("*.yaml")):
        with tempfile.TemporaryDirectory() as cache:
            command = _command("run", str(path), "--replicates", "100")
            figures.append(Figure(f"first_run_{path.stem}", "s", _seconds(command, cache), 20.0, None))
            again = min(_seconds(command, cache) for _ in range(3))
            figures.append(Figure(f"second_run_{path.stem}", "s", again, 2.0, None))
    return figures


def measure_memory() -> list[Figure]:
    """Return the peak memory of ten million replicates of the two-arm binary design, in its own process."""
    script = (
        "import resource, benchmarks.two_arm_binary as b, benchmarks.measuring as m\n"
        "from lmd_trialsim.engine.backends import run_jobs\n"
        f"run_jobs([m.job(b.SCENARIO, {LONG_RUN})], 1, m.THREADS)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)\n"
    )
    shown = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return [Figure("memory_of_10_million_replicates", "GB", float(shown.stdout), 2.0, None)]
