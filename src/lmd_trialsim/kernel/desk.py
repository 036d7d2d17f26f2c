"""The desk of one trial: what a replicate is played on, made once a chunk and used for one replicate after another.

Records keep it to a few arrays: every array that a compiled function is handed costs time at each call.
Patients are numbered in the order of their arrival. Arms are numbered with the control first; a single arm is arm 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

STATE = np.dtype(
    [
        ("ready", "i8"),  # patients whose arm, stratum and course have been drawn
        ("clocked", "i8"),  # groups of eight patients whose place on the arrival clock is known
        ("enrolled", "i8"),  # patients enrolled by the month of the present look
        ("known", "i8"),  # patients whose binary outcome has come due by then
        ("placed", "i8"),  # those among them who keep a place among the planned ones
        ("evaluable", "i8"),  # those whose outcome can be analysed
        ("events", "i8"),  # events seen
        ("cap", "i8"),  # no patient is enrolled beyond this number
        ("exhausted", "i8"),  # 1 where the trial can learn no more: the present look is its last
        ("month", "f8"),  # of the present look
        ("wanted", "i8"),  # places after which no cell takes more patients for the time being
        ("arrivals", "i8"),  # patients who have come, taken or turned away, where cells open and close
        ("decided", "f8"),  # month of the last decision
        ("checked", "f8"),  # month at which cells are looked through next for slow accrual
        ("arrived", "i8"),  # those who had come, with the last one who was taken
        ("due", "f8"),  # month at which the next look is due, where that is settled; else inf
        ("stale", "i8"),  # 1 where arms have come or gone, or a look has passed, since the shares were written
        ("period", "i8"),  # the present one
        ("are_open", "i8"),  # the arms that are open in it, as bits
        ("waiting", "i8"),  # arms that may enter
        ("control", "i8"),  # the arm that the others are compared with; -1 where there is none
        ("stratum", "i8"),  # the one that is judged, where strata of arms may close
        # Where cells may be judged as one:
        ("pooled", "i8"),  # 1 where they are, 0 where each is by itself for good, -1 while that is not settled
        ("asked", "i8"),  # cells that are judged at the present look
        ("pool_patients", "i8"),  # evaluable patients in these
        ("pool_responses", "i8"),
        ("homogeneity", "f8"),  # p-value of the test that settled it; NaN where there was none
    ]
)

PATIENT = np.dtype(
    [
        ("gap", "f8"),  # the arrival uniform
        ("chance", "f8"),  # a uniform at work
        ("arrival", "f8"),  # month of enrolment, where the endpoint needs each patient's own
        ("put_off", "f8"),  # months by which pauses of the accrual put off the arrival
        ("event", "f8"),  # months from entry to the event; inf if it never comes
        ("censor", "f8"),  # months from entry to drop-out or the end of the patient's own follow-up
        ("follow", "f8"),  # months from entry that have been followed at the look
        ("status", "i8"),  # 1 where the event was seen by the look
        ("outcome", "i8"),  # of a binary endpoint
        ("arm", "i8"),
        ("stratum", "i8"),
        ("kept_follow", "f8"),  # kept aside while the data are completed in imagination
        ("kept_status", "i8"),
        ("kept_arm", "i8"),
        ("kept_arrival", "f8"),
        ("kept_censor", "f8"),
        ("kept_stratum", "i8"),
        ("matches", "i8"),  # the arms, as bits, that a control patient is a control of
        ("value", "f8"),  # of a continuous endpoint; of a binary one, its outcome
        ("period", "i8"),  # in which the patient came: one lasts as long as the same arms are open
    ]
)

CELL = np.dtype(
    [
        ("patients", "i8"),  # evaluable patients
        ("responses", "i8"),  # responses among them
        ("events", "i8"),  # events
        ("months", "f8"),  # patient-months
        ("places", "i8"),  # places left in the open block
        ("at_risk", "i8"),  # still followed, while risk sets are counted
        ("kept_events", "i8"),
        ("kept_months", "f8"),
        # Where cells open, fill, are judged and close, each for itself:
        ("open", "i8"),  # 1 until it is judged
        ("enrolled", "i8"),  # patients taken
        ("placed", "i8"),  # those among them who keep a place among the planned ones
        ("wanted", "i8"),  # places after which it takes no more patients for the time being
        ("upto", "i8"),  # places filled up to a patient, counted backwards
        ("due", "i8"),  # 1 where it is judged at the present look
        ("look", "i8"),  # the number of its next look
        ("verdict", "i8"),  # at its last look
        ("said", "i8"),  # where the model's answers about it begin
    ]
)

SAMPLE = [
    ("patients", "i8"),  # evaluable patients
    ("responses", "i8"),
    ("events", "i8"),
    ("months", "f8"),  # patient-months
    ("total", "f8"),  # of a continuous endpoint, the sum of the values
    ("squares", "f8"),  # and that of their squares
]

ARM = np.dtype(
    [
        *SAMPLE,
        *((f"control_{name}", kind) for name, kind in SAMPLE),  # of the patients it is compared with
        ("status", "i8"),  # WAITING, ...
        ("ready", "i8"),  # 1 once it waits for a place only
        ("queued", "f8"),  # month at which it is ready to enter
        ("opened", "f8"),  # month at which it took its first patients; inf while it has not
        ("last", "f8"),  # month at which it took its last patient
        ("enrolled", "i8"),  # patients taken
        ("most", "i8"),  # patients that it takes at most
        ("placed", "i8"),  # those among them who keep a place among the planned ones
        ("look", "i8"),  # the number of its next look
        ("due", "i8"),  # 1 where it is judged at the present look
        ("settles", "f8"),  # month of its own next look, where that is settled; else inf
        ("verdict", "i8"),  # kernel.rules
        ("share", "f8"),  # in proportion to which patients are allocated to it
        ("best", "f8"),  # probability that it is the best of the arms that run
        ("effect", "f8"),  # estimate of a test
        ("error", "f8"),  # its standard error
        ("freedom", "f8"),  # and the degrees of freedom of that
        ("pooled", "f8"),  # of what it is compared with, the part that is of control patients of all times
        ("own", "i8"),  # where the model keeps what it knows of the arm
        ("other", "i8"),  # and of the patients it is compared with
    ]
)

# The status of an arm. One that is CLOSING has been judged, and the decision is not out yet.
WAITING, OPEN, FULL, CLOSING, ENDED = 0, 1, 2, 3, 4

# A stratum of an arm, where strata may close: cell.open. One that SHUTS has been judged, and the decision is not out
# yet; one that is the LAST of its arm, or shuts with the last, counts to the end as what the arm ends on.
SHUT, ADMITS, SHUTS, LAST = 0, 1, 2, 3

# Outcomes of a binary endpoint.
FAILURE, RESPONSE, MISSING, NOT_EVALUABLE = 0, 1, 2, 3


class Desk(NamedTuple):
    """The working arrays."""

    state: np.ndarray  # (1,) of STATE
    patients: np.ndarray  # (patients,) of PATIENT
    cells: np.ndarray  # (arms, strata) of CELL: the trial's table
    arms: np.ndarray  # (arms,) of ARM, where arms come and go
    early_patients: np.ndarray  # (patients,) of PATIENT: an early endpoint of the same patients, where there is one
    early_arms: np.ndarray  # (arms,) of ARM: what is known of it
    clock: np.ndarray  # (patients / 8 + 1,) unit-rate arrival time at the end of each group of eight
    coming: np.ndarray  # (4, 8) the group of those who come: month, uniforms of stratum, outcome and allocation
    work: np.ndarray  # (6, patients) numbers at work
    order: np.ndarray  # (patients,) a permutation at work
    answers: np.ndarray  # (questions,) what the analysis says at the look
    replies: np.ndarray  # (questions,) the same for data completed in imagination
    scratch: np.ndarray  # numbers at work of a joint posterior of cells
    memory_key: np.ndarray  # (entries, cells) counts whose answers are remembered
    memory: np.ndarray  # (entries, answers of all cells)
    sorted: np.ndarray  # (patients,) of PATIENT: those known at a look by stratum, where strata of arms may close
    by_stratum: np.ndarray  # (strata, arms) of ARM: what is known of each stratum of each arm, where they may


def new_desk(
    patients: int,
    arms: int,
    strata: int,
    questions: int,
    scratch: int = 1,
    memory: tuple[int, int] = (1, 1),
    early: int = 0,
    closing: int = 0,
) -> Desk:
    """Return a clean desk with room for `patients`, and for those that fill up a group of eight or a vector of 32.

    early: patients with an early endpoint. closing: 1 where strata of arms may close.
    """
    room = (patients + 16 + 31) // 32 * 32
    return Desk(
        state=np.zeros(1, STATE).view(np.recarray),
        patients=np.zeros(room, PATIENT).view(np.recarray),
        cells=np.zeros((arms, strata), CELL).view(np.recarray),
        arms=np.zeros(arms, ARM).view(np.recarray),
        early_patients=np.zeros(early, PATIENT).view(np.recarray),
        early_arms=np.zeros(arms if early else 0, ARM).view(np.recarray),
        clock=np.zeros(room // 8 + 2),
        coming=np.zeros((4, 8)),
        work=np.zeros((6, room)),
        order=np.zeros(room, np.int64),
        answers=np.zeros(max(questions, 1)),
        replies=np.zeros(max(questions, 1)),
        scratch=np.zeros(scratch),
        memory_key=np.full((memory[0], strata), -1, np.int64),
        memory=np.zeros(memory),
        sorted=np.zeros(room if closing else 0, PATIENT).view(np.recarray),
        by_stratum=np.zeros((strata if closing else 0, arms), ARM).view(np.recarray),
    )
