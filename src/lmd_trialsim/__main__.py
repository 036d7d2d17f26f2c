"""`python -m lmd_trialsim` is `lmd-trialsim`."""

from lmd_trialsim.cli import main

if __name__ == "__main__":
    main()
