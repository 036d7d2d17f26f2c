"""`like: NAME`: a truth or design that is another one but for what it says itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from lmd_trialsim.reading import At, Document, Loc
from lmd_trialsim.reading.mistakes import Mistake, listing, placed, quoted, suggestion

DEPTH = {"truths": 2, "designs": 1}
"""What stands beside `like` replaces a design's keys one by one; in a truth, an endpoint's arms one by one.

`key: null` beside it takes an inherited key away."""

LONGEST_CHAIN = 20
MOST_SUGGESTIONS = 20  # each compares a name with all others


class Likes:
    """The entries of one section, each with what it inherits."""

    def __init__(self, section: str, given: Mapping[str, Any]) -> None:
        self.section, self.given = section, given
        self.filled: dict[str, Any] = {}
        self.refused: set[str] = set()
        self.origins: dict[Loc, Loc] = {}
        self.wrong: list[At] = []
        for name in given:
            if name not in self.filled and name not in self.refused:
                self._fill(name)

    def _fill(self, name: str) -> None:
        """Fill in an entry and those that it leans on; leave out those that can't be."""
        chain = [name]
        while (other := self._other(chain[-1])) is not None:
            if isinstance(other, str) and other in self.filled:
                break
            refusal = self._refusal(chain, other)
            if refusal:
                self._complain(chain[-1], refusal)
                self.refused |= set(chain)
                return
            chain.append(other)
            if other in self.refused:
                self.refused |= set(chain)
                return
        for link in reversed(chain):
            self._fill_one(link)

    def _other(self, name: str) -> Any:
        value = self.given[name]
        return value.get("like") if isinstance(value, dict) else None

    def _refusal(self, chain: list[str], other: Any) -> str:
        """Return why an entry can't be filled in, or nothing."""
        if not isinstance(other, str) or other not in self.given:
            return f"names no other of the {self.section}"
        if other in chain:
            return "goes round in a circle"
        if len(chain) >= LONGEST_CHAIN:
            return f"leads through more than {LONGEST_CHAIN} others"
        return ""

    def _complain(self, name: str, text: str) -> None:
        place = (self.section, name, "like")
        other = self._other(name)
        allowed, way_out = "", "Write one of them out."
        if text.startswith("names"):
            others = [n for n in self.given if n != name]
            near = suggestion(other, others) if len(self.wrong) < MOST_SUGGESTIONS else ""
            allowed, way_out = listing(others), f"Did you mean {near}?" if near else ""
        self.wrong.append(At(place, placed(place, text), got=quoted(other), allowed=allowed, way_out=way_out))

    def _fill_one(self, name: str) -> None:
        value, other = self.given[name], self._other(name)
        if isinstance(value, dict) and "like" in value:
            inherited = self.filled[other]
            own = {key: item for key, item in value.items() if key != "like"}
            if isinstance(inherited, dict):
                self._complain_of_nothing(name, inherited)
                own = self._merge(inherited, own, DEPTH[self.section], (self.section, other), (self.section, name))
            value = {key: item for key, item in own.items() if item is not None}
        self.filled[name] = value

    def _complain_of_nothing(self, name: str, inherited: dict[str, Any]) -> None:
        """Complain of each key that is to be taken away, and is not there."""
        for key, item in self.given[name].items():
            if item is None and key not in inherited:
                place = (self.section, name, key)
                near = suggestion(key, inherited) if len(self.wrong) < MOST_SUGGESTIONS else ""
                way_out = f"Did you mean {near}?" if near else "Leave the line out."
                self.wrong.append(At(place, placed(place, "is not inherited"), got="null", way_out=way_out, key=True))

    def _merge(self, old: dict[str, Any], new: dict[str, Any], levels: int, source: Loc, target: Loc) -> dict[str, Any]:
        merged = dict(old)
        self.origins |= {(*target, key): (*source, key) for key in old if key not in new}
        for key, item in new.items():
            if levels > 1 and isinstance(item, dict) and isinstance(old.get(key), dict):
                item = self._merge(old[key], item, levels - 1, (*source, key), (*target, key))  # noqa: PLW2901
            merged[key] = item
        return merged


def without_likes(document: Document, words: Collection[str]) -> tuple[Document, list[At]]:
    """Return the document with each `like: NAME` filled in from the one it names, and what is wrong with some.

    Those are left out. A mistake in what was inherited is told where it was written. words: what a truth may say
    besides its endpoints.
    """
    data = dict(document.data)
    origins: dict[Loc, Loc] = {}
    wrong: list[At] = []
    for section in DEPTH:
        if isinstance(data.get(section), dict):
            likes = Likes(section, data[section])
            data[section] = {name: likes.filled[name] for name in data[section] if name in likes.filled}
            origins |= likes.origins
            wrong += likes.wrong
    wrong += _unknown_endpoints(data, words)
    return document.derived(data, origins), wrong


def once(mistakes: Iterable[Mistake]) -> list[Mistake]:
    """Return the mistakes; one that several entries inherit is told once, of the entry that it is written in."""
    told: dict[tuple[object, ...], Mistake] = {}
    for mistake in mistakes:
        path, _, what = mistake.what.partition(": ")
        section, _, rest = path.partition(".")
        key = (mistake.line, mistake.column, section, rest.partition(".")[2], what)
        if key not in told or len(mistake.way_out) < len(told[key].way_out):  # which says more of what is inherited
            told[key] = mistake
    return list(told.values())


def _unknown_endpoints(data: dict[str, Any], words: Collection[str]) -> Iterator[At]:
    """Take the keys out of truths that are neither words of truths nor endpoints, and tell of each."""
    truths, endpoints = data.get("truths"), data.get("endpoints")
    if not isinstance(truths, dict) or not isinstance(endpoints, dict):
        return
    known = [*endpoints, *words, "like"]
    data["truths"] = {
        name: {key: item for key, item in truth.items() if key in known} if isinstance(truth, dict) else truth
        for name, truth in truths.items()
    }
    for name, truth in truths.items():
        for key in truth if isinstance(truth, dict) else ():
            if key not in known:
                place = ("truths", name, key)
                near = suggestion(key, known)
                what = placed(place, "is neither an endpoint nor a word of truths")
                yield At(place, what, allowed=listing(known), way_out=f"Did you mean {near}?" if near else "", key=True)
