"""`python -m pigeonry` is the `pigeonry` command."""

from pigeonry.cli import main

main()
