"""The emulated AWS: on loopback only, and closed to web pages.

It includes Lambda, so it runs any code that it receives; see infra/local/browser_guard.py.
"""

import os
from pathlib import Path

from infra.local import browser_guard, lifeline
from infra.local.settings import HOST


def environment(port: int, data: Path) -> dict[str, str]:
    """Return the settings that keep the emulator on loopback and its files in `data`."""
    return {
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "PERSIST_STATE": "1",
        "STATE_DIR": str(data),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(data / "s3"),
        "TMPDIR": str(data),
        "LOG_LEVEL": "WARNING",
    }


def main() -> None:
    lifeline.hold()
    Path(os.environ["STATE_DIR"]).mkdir(parents=True, exist_ok=True)
    from ministack import app as ministack  # it reads the environment on import

    ministack.app = browser_guard.refuse_web_pages(ministack.app)  # which its main() serves
    ministack.main()


if __name__ == "__main__":
    main()
