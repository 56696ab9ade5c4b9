"""`python -m auricle` is the `auricle` command."""

from auricle.cli.app import main

if __name__ == "__main__":
    main()
