"""Names of files as text for people."""

from __future__ import annotations


def show_name(name: str) -> str:
    """A file name as text that cannot mislead: what is not printable is escaped, as Python writes it.

    That covers bytes that are no UTF-8, line ends, what a terminal acts on, and the marks that turn the
    direction of writing.
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in name
    )
