"""How the console scripts end: with an exit code and, after an error, one sentence."""

import sys
from collections.abc import Callable
from contextlib import suppress

import mmml
from mmml.cli.arguments import wants_help
from mmml.errors import ExpectedError, expected
from mmml.files import check_working_folder
from mmml.terminal import open_streams, settle_streams


def guarded(program: str, main: Callable[[list[str]], int]) -> int:
    """Call ``main`` with the arguments; report expected errors in one sentence on stderr, with exit
    code 2.
    """
    arguments = sys.argv[1:]
    open_streams()
    try:
        if not wants_help(arguments) and "--version" not in arguments:
            check_working_folder()
        code = _version() if "--version" in arguments else main(arguments)
        sys.stdout.flush()  # so that a failure is reported below
        return code
    except BrokenPipeError:  # the reader of a pipe has closed it
        return 0
    except (ExpectedError, OSError) as error:
        if not isinstance(known := expected(error), ExpectedError):
            raise
        with suppress(OSError):
            print(f"{program}: {known}", file=sys.stderr)
        return known.exit_code
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        return 130
    finally:
        settle_streams()


def _version() -> int:
    print(f"mmml {mmml.__version__}")
    return 0
