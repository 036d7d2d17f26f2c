"""The verbs of the command line. Each module imports click only, and the rest when its command runs."""
