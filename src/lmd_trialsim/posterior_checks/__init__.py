"""Fast posteriors on trial: data sets at looks and hard ones, what the design says of them, and what PyMC says."""
