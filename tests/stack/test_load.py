"""`make load` itself, for a few seconds: the tool must not rot. What it measures is not judged."""

import os
import subprocess
import sys

from tests.engines import ROOT
from tests.stack.conftest import A_DEVELOPERS_OWN


def test_little_load_keeps_every_promise() -> None:
    arguments = ["--rates", "20", "--seconds", "3", "--payments", "30", "--within", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.load", *arguments],
        cwd=ROOT,
        env=os.environ | A_DEVELOPERS_OWN,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    assert "Every promise is kept" in done.stdout
    assert "30 payments, as many as" in done.stdout
