"""The wheel works in an environment of its own, from another folder; only its
dependencies are borrowed.
"""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.conftest import SMOKE, only_run

ROOT = Path(__file__).parent.parent


def run(*arguments: str | Path, cwd: Path) -> str:
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [str(a) for a in arguments], cwd=cwd, capture_output=True, text=True, env=env
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_trains(tmp_path):
    run(
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        tmp_path / "dist",
        ROOT,
        cwd=tmp_path,
    )
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    venv = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", venv, cwd=tmp_path)
    python = venv / "bin" / "python"
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--no-deps",
        "--no-index",
        wheel,
        cwd=tmp_path,
    )
    (site,) = venv.glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    where = run(
        python,
        "-c",
        "import mmml.config.folders as c; print(c.__file__, c.conf_dir())",
        cwd=elsewhere,
    )
    assert where.count(str(site)) == 2, where
    run(venv / "bin" / "mmml-train", *SMOKE, cwd=elsewhere)
    assert (only_run(elsewhere) / "report.html").is_file()
