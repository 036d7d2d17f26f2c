"""Rules as kernels read them: the first rule whose conditions all hold at a look speaks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lmd_trialsim.kernel.jit import kernel

# Verdicts. What a rule may conclude, and how a trial may end.
GO_ON, EFFICACY, FUTILITY, HARM, CLOSE_FOR_EFFICACY, CLOSE_FOR_FUTILITY = 0, 1, 2, 3, 4, 5
"""CLOSE_FOR_...: stop the accrual and go to the final look."""


RULE = np.dtype(
    [
        ("verdict", "i8"),
        ("from_patients", "i8"),  # silent before so many patients are evaluable
        ("binding", "i8"),  # 0: the type I error is also reported for trials that go on in spite of it
        ("first", "i8"),  # its conditions: first, ..., end - 1
        ("end", "i8"),
    ]
)

CONDITION = np.dtype(
    [
        ("question", "i8"),
        ("sign", "f8"),  # +1 exceeds, -1 is below
    ]
)


class Rules(NamedTuple):
    """Rules in order. A condition holds where sign * (answer - threshold) > 0; with an answer of NaN it does not."""

    rules: np.ndarray  # (rules,) of RULE
    conditions: np.ndarray  # (conditions,) of CONDITION
    threshold: np.ndarray  # (conditions, looks); NaN where the rule is silent
    needed: np.ndarray  # (questions, looks) 1 where some rule looks at the answer


@kernel
def holds(rules, rule, answers, look):
    """Return whether all conditions of the rule hold."""
    for condition in range(rule.first, rule.end):
        distance = answers[rules.conditions[condition].question] - rules.threshold[condition, look]
        if not rules.conditions[condition].sign * distance > 0.0:
            return False
    return True


@kernel
def decide(rules, answers, look, evaluable, overruled):
    """Return the number of the first rule that speaks, or -1. overruled: rules that do not bind are passed over."""
    for number in range(rules.rules.shape[0]):
        rule = rules.rules[number]
        heard = evaluable >= rule.from_patients and not (overruled and not rule.binding)
        if heard and holds(rules, rule, answers, look):
            return number
    return -1


@kernel
def verdict_of(rules, number):
    """Return the verdict of rule `number`; GO_ON where none has spoken."""
    return rules.rules[number].verdict if number >= 0 else GO_ON
