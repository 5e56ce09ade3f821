"""Python runs this module first in each process of a stack under test: its folder is on the path.

The processes that run the app's functions then record the calls of AWS that these make.
"""

import os
import sys
from pathlib import Path

if sys.orig_argv[-1] in {"infra.local.server", "infra.local.worker"}:
    sys.path.insert(0, str(Path.cwd()))
    from tests import hearing

    hearing.Recorder(keep=hearing.write_down(Path(os.environ[hearing.FOLDER]))).listen()
