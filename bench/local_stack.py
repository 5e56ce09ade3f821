"""A local stack of its own, as `make run` starts it."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra import ROOT
from infra.local.engines import free_port, wait_until
from infra.local.settings import Local, SetupError, from_environment


@contextmanager
def local_stack(**settings: str) -> Iterator[Local]:
    """Run one until the block ends, on free ports and in a folder that goes with it.

    `settings` are variables of its environment.

    Raises SetupError with what it said if it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="payflow-") as folder:
        # The emulator's index queries take longer with every row, and a run of the sweeper asks
        # many: at a minute or nearly so, as on AWS, they leave it time for the payments.
        env = {"PAYFLOW_SWEEP_UNIT_SECONDS": "20", **os.environ, **settings}
        ports = ("API", "AWS", "RECEIVER", "DYNAMODB")
        env |= {f"PAYFLOW_{name}_PORT": str(free_port()) for name in ports}
        env |= {"PAYFLOW_STATE_DIR": folder, "PAYFLOW_DASHBOARD": "off"}
        said = Path(folder) / "said"
        with said.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "infra.local"],
                cwd=ROOT,
                env=env,
                stdout=output,
                stderr=output,
            )
        try:
            wait_until(
                lambda: "Ctrl-C stops it" in said.read_text() or process.poll() is not None,
                "the stack is up",
            )
            if process.poll() is not None:
                raise SetupError(f"The stack did not start. It said:\n{said.read_text()}")
            yield from_environment(env)
        finally:
            process.terminate()
            process.wait(60)
