"""A plain-Python twin of the trial loop: the same patients, by the documentation; no code shared with kernels."""
