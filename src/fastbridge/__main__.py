"""`python -m fastbridge` is the `fastbridge` command."""

from fastbridge.cli import main

if __name__ == "__main__":
    main()
