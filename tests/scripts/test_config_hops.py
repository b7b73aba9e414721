"""Through how many functions a config passes before the first training step."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "config_hops.py"


def test_a_config_passes_few_functions_before_the_first_step(tmp_path, glyphs):
    # The fixture puts the glyphs into the cache: drawing them is slow while the script records.
    done = subprocess.run(
        [sys.executable, SCRIPT], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    *passed, count = done.stdout.strip().splitlines()
    assert {"config/schema.py:check_run", "run.py:assemble", "run.py:build_learner"} <= set(passed)
    assert count == f"{len(passed)} functions" and len(passed) <= 25
