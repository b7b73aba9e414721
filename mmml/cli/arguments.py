"""What the console scripts have in common in how they read their arguments."""

from mmml.errors import UserError


def wants_help(arguments: list[str]) -> bool:
    """Whether ``-h`` or ``--help`` is among them."""
    return bool({"-h", "--help"} & set(arguments))


def refuse_stray(arguments: list[str], key: str) -> None:
    """Refuse what is no ``key=value``."""
    stray = [a for a in arguments if "=" not in a]
    if stray:
        raise UserError(
            f"{stray[0]} cannot be read: write {key}={stray[0]}, or key=value for an option"
        )
