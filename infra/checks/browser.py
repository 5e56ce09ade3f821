"""Run a command that drives a browser: `python -m infra.checks.browser COMMAND …`.

The command finds the browser's path in PAYFLOW_BROWSER. If this machine has neither Chrome nor
Chromium, root on Debian gets Chromium installed.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ON_A_MAC: Final = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")


def find() -> str | None:
    """Return the path of a browser: the one that PAYFLOW_BROWSER names, or an installed one."""
    if chosen := os.environ.get("PAYFLOW_BROWSER"):
        return chosen if os.access(chosen, os.X_OK) else None
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    return found or (str(_ON_A_MAC) if _ON_A_MAC.exists() else None)


def main() -> None:
    if find() is None and shutil.which("apt-get") and os.geteuid() == 0:
        print("Installing Chromium (once)")
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = ["install", "-qy", "--no-install-recommends", "chromium"]
        for command in (["update", "-q"], install):
            subprocess.run(["apt-get", *command], env=env, check=True)  # noqa: S603, S607
    browser = find()
    if browser is None:
        sys.exit(
            "The browser tests need Chrome or Chromium. Install one (on Debian: "
            "sudo apt-get install chromium), or name it: PAYFLOW_BROWSER=/path/to/chrome make e2e"
        )
    sys.exit(subprocess.call(sys.argv[1:], env={**os.environ, "PAYFLOW_BROWSER": browser}))  # noqa: S603


if __name__ == "__main__":
    main()
