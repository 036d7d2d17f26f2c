"""Results for programs: JSON and CSV, with the same digits."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

from lmd_trialsim.simulation import Results

COLUMNS = (
    "design", "truth", "name", "cell", "estimate", "mcse", "low", "high",
    "method", "replicates", "seed", "digest", "version",
)  # fmt: skip


def to_json(results: Results, exact: Results | None = None, not_exact: Iterable[tuple[str, str, str]] = ()) -> str:
    """Return the document; beside a Monte Carlo one, that of the exact numbers and why some have none."""
    document: dict[str, Any] = results.to_dict()
    reasons = [{"design": design, "truth": truth, "why": why} for design, truth, why in not_exact]
    if exact is not None:
        document["exact"] = exact.to_dict()
    if exact is not None or reasons:
        document["not_exact"] = reasons
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_csv(*several: Results) -> str:
    """Return one line a characteristic, each with its origin; a number that does not exist is empty."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for results in several:
        document = results.to_dict()
        origin = {name: document[name] for name in COLUMNS if name in document}
        for row in document["results"]:
            for one in row["characteristics"]:
                writer.writerow({"design": row["design"], "truth": row["truth"], **one, **origin})
    return stream.getvalue()
