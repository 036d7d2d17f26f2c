"""What is kept of each trial that is judged arm by arm: one row a replicate."""

from __future__ import annotations

# Columns of the integers; OF_ARM columns for each arm follow, the control's first.
ENROLLED, SUCCEEDED, CLOSED_EARLY = 0, 1, 2
SELECTED = 3  # the arm that comes out best; the control if none does better, -1 where there is no control
ENDED_AS = 4  # why it ended before its last look: AS_ALIKE, AS_ONE_LEFT, or 0
AS_ALIKE, AS_ONE_LEFT = 1, 2
ARRIVED = 5  # patients who came, taken or turned away
HEAD = 6
VERDICT = 0  # kernel.rules; GO_ON where none was reached
LOOK = 1  # the look of the verdict, from 0; -1 where the arm was never judged
PATIENTS = 2  # taken
EVALUABLE = 3  # in the analysis that judged it
CONTROLS = 4  # in the same, of the control patients that it was compared with
COUNTED = 5  # responses, or events
COVERED = 6  # 1 where the 95 % credible interval holds the true effect, 0 where not, -1 where the arm was never judged
ENTERED = 7  # 1 where the arm entered
OF_ARM = 8

# Where strata of arms may close, columns for each arm and stratum follow, strata within arms.
CLOSED_BY = 0  # the verdict that closed it; GO_ON where none did
CLOSED_AT = 1  # the arm's look at which it did, from 0; -1 where none did
TAKEN = 2  # patients of the stratum that the arm took
LEFT = 3  # 1 where the stratum is among those that the arm was judged by, or would have been, in the end
OF_STRATUM = 4

# Columns of the numbers; NUMBERS_OF_ARM columns for each arm follow.
MONTHS = 0
ESTIMATE = 0  # of the effect
QUEUED = 1  # months that the arm waited for a place
DECIDED = 2  # months from its entry to its verdict
NUMBERS_OF_ARM = 3

# Columns of the log of one trial, a row a look; columns for each arm follow, its answers last; then, where strata of
# arms may close, the same columns for each arm and stratum, strata within arms.
LOG_MONTH, LOG_ENROLLED, LOG_CONTROL, LOG_ALIKE = 0, 1, 2, 3
LOG_HEAD = 4
LOG_STATUS, LOG_LOOK, LOG_VERDICT = 0, 1, 2
LOG_PATIENTS, LOG_COUNTED, LOG_EXPOSURE = 3, 4, 5
LOG_CONTROLS, LOG_CONTROLS_COUNTED, LOG_CONTROLS_EXPOSURE = 6, 7, 8
LOG_SHARE = 9
LOG_ANSWERS = 10
