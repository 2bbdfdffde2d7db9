"""`python -m maclip_runtime` is the `maclip` command."""

from maclip_runtime.cli import main

main()
