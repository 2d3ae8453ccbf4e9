"""`python -m florence_annotate` is the command."""

from florence_annotate.cli import main

if __name__ == "__main__":
    main()
