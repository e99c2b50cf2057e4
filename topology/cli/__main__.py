"""`python -m topology.cli` is `recourse`, also where no script is installed."""

from topology.cli import main

if __name__ == "__main__":
    main()
