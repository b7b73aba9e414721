"""Helpers of the console scripts for reading their arguments."""

from mmml.errors import UserError


def wants_help(arguments: list[str]) -> bool:
    """Whether ``-h`` or ``--help`` is among them."""
    return bool({"-h", "--help"} & set(arguments))


def refuse_stray(arguments: list[str], key: str) -> None:
    """Raise ``UserError`` if an argument has not the form ``key=value``."""
    stray = [a for a in arguments if "=" not in a]
    if stray:
        raise UserError(
            f"{stray[0]} cannot be read: write {key}={stray[0]}, or key=value for an option"
        )
