"""The same numbers by other means: nothing here shares code with what it checks."""
