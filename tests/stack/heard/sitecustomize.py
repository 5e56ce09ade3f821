"""Python runs this first in each process of a stack under test, which has its folder on the path.

The processes that run the app's functions then write down what those ask of AWS.
"""

import os
import sys
from pathlib import Path

if sys.orig_argv[-1] in {"infra.local.server", "infra.local.worker"}:
    sys.path.insert(0, str(Path.cwd()))
    from tests import hearing

    hearing.Recorder(keep=hearing.write_down(Path(os.environ[hearing.FOLDER]))).listen()
