"""Count the functions that a config passes from the command line to the first training step.

``python scripts/config_hops.py [OPTION …]`` starts ``mmml-train`` with these options in this
process, records each function of mmml that gets or returns a config, and stops at the first
training step. A config is an object with all options of a run: a ``DictConfig``, a plain
dictionary, or ``mmml.config.Config``. A function counts once, even if it is called several times;
comprehensions and lambdas count as part of the function that contains them.
"""

import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import mmml
import mmml.run  # imported here, since everything is slow while functions are recorded
from mmml import cli

SHORT = ["experiment=smoke", "trainer.steps=1", "hydra.run.dir=run"]
SECTIONS = {"method", "trainer", "evaluation"}
PACKAGE = str(Path(mmml.__file__).parent)


class FirstStep(BaseException):
    """Raised at the first training step; nothing in between catches it."""


def is_config(value: Any) -> bool:
    """Whether a value has all options of a run."""
    if isinstance(value, Mapping):
        return set(value) >= SECTIONS and all(isinstance(value[name], Mapping) for name in SECTIONS)
    return not inspect.isclass(value) and all(
        name in getattr(value, "__dict__", ()) for name in SECTIONS
    )


def hops(arguments: list[str]) -> list[str]:
    """Return the functions that a config passes, in the order of their first call."""
    found: dict[str, None] = {}

    def watch(frame: FrameType, event: str, value: Any) -> None:
        code = frame.f_code
        if not code.co_filename.startswith(PACKAGE) or event not in ("call", "return"):
            return
        function = code.co_qualname.partition(".<locals>.<")[0]
        name = f"{Path(code.co_filename).relative_to(PACKAGE)}:{function}"
        if name.endswith("Trainer._train_step"):
            raise FirstStep
        given = [
            frame.f_locals.get(n)
            for n in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        ]
        if any(is_config(v) for v in ([value] if event == "return" else given)):
            found[name] = None

    sys.argv = ["mmml-train", *arguments]
    sys.setprofile(watch)
    try:
        cli.train()
    except FirstStep:
        pass
    finally:
        sys.setprofile(None)
    return list(found)


if __name__ == "__main__":
    passed = hops(sys.argv[1:] or SHORT)
    print(*passed, f"{len(passed)} functions", sep="\n")
