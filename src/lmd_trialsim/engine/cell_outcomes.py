"""What is kept of each trial that is judged cell by cell: one row a replicate."""

from __future__ import annotations

# Columns of the integers; OF_CELL columns for each cell follow.
ENROLLED, SUCCEEDED, CLOSED_EARLY = 0, 1, 2
POOLED = 3  # 1 where the cells were judged as one
HEAD = 4
VERDICT = 0  # kernel.rules; GO_ON where none was reached
LOOK = 1  # the look of the verdict, from 0; -1 where the cell was never judged
PATIENTS = 2  # taken
EVALUABLE = 3  # in the analysis that judged it
COUNTED = 4  # responses, or events
COVERED = 5  # 1 where the 95 % credible interval holds the true value, 0 where not, -1 where the cell was never judged
OF_CELL = 6

# Columns of the numbers; NUMBERS_OF_CELL columns for each cell follow.
MONTHS = 0
ESTIMATE = 0  # posterior mean of the rate, or of the logarithm of the median or ratio
BORROWED = 1  # effective sample size of the posterior beyond the cell's own patients, or events
NUMBERS_OF_CELL = 2

# Columns of the log of one trial, a row a look; columns for each cell follow, its posterior tails last.
LOG_MONTH, LOG_ENROLLED = 0, 1
LOG_POOLED, LOG_HOMOGENEITY = 2, 3  # as in kernel.desk
LOG_HEAD = 4
LOG_PATIENTS, LOG_COUNTED = 0, 1
LOG_LOOK = 2  # the number of the look at which the cell is judged, from 0; -1 where it is not
LOG_VERDICT = 3  # kernel.rules
LOG_MEAN, LOG_PREDICTIVE = 4, 5
LOG_EXPOSURE = 6  # patient-months, of times to an event
LOG_OF_CONTROL = 7  # patients, responses or events, and patient-months of the first arm
LOG_ASKED = 10  # patients, and responses or events, that the rules are asked of: the cell's, or the pool's
LOG_TESTS = 12  # p-value, and Bonferroni's
LOG_TAILS = 14
