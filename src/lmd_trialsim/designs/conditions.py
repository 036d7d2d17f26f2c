"""What all conditions of rules have in common: one number, and one comparison of it with something."""

from __future__ import annotations

from typing import Any, ClassVar

from lmd_trialsim.evidence.quantities import Spec
from lmd_trialsim.reading import At

COMPARISONS = ("exceeds", "at_least", "is_below", "at_most")
UPWARDS = ("exceeds", "at_least")


class Comparison(Spec):
    """A number and what it is compared with. Subclasses have the keys, and name in SUBJECTS those that are numbers."""

    SUBJECTS: ClassVar[tuple[str, ...]]

    @property
    def subject(self) -> str:
        """Which of the numbers the condition is about."""
        return next(name for name in self.SUBJECTS if getattr(self, name) is not None)

    @property
    def comparison(self) -> str:
        """How the number is compared."""
        return next(name for name in COMPARISONS if getattr(self, name) is not None)

    @property
    def cut(self) -> Any:
        """What the number is compared with."""
        return getattr(self, self.comparison)

    def contradictions(self) -> list[At]:
        """Return the numbers and comparisons beyond the first; raise At where there is none."""
        wrong: list[At] = []
        for names, what in ((self.SUBJECTS, "number"), (COMPARISONS, "comparison")):
            given = [name for name in names if getattr(self, name) is not None]
            if not given:
                raise At((), f"names no {what}", allowed=", ".join(names))
            wrong += [
                At((name,), f"contradicts {given[0]}: a condition has one {what}. Remove one", key=True)
                for name in given[1:]
            ]
        return wrong
