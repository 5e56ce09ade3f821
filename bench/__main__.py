"""`python -m bench NAME [options]`: measure or compute one of docs/reports."""

import importlib
import sys
from typing import Final

COMMANDS: Final = {
    "flows": "time each flow against a floor of its AWS calls alone",
    "calls": "time calls of AWS without a network, beside those of a client by default",
    "cold-start": "time new processes to their first answer, beside a floor",
    "budgets": "hold the dashboard, the local stack's start and calls of AWS to their budgets",
    "growth": "time the reads while the table grows to a million payments",
    "exports": "write a large export with its worker killed in between, and count it again",
    "costs": "compute what a million payments cost, from recorded calls",
    "milliseconds": "measure the processor time of each flow, which costs are computed from",
    "scaling": "compute where the tables saturate, and what would help",
}


def main(arguments: list[str]) -> None:
    if not arguments or arguments[0] not in COMMANDS:
        listed = "\n".join(f"  {name:<13} {what}" for name, what in COMMANDS.items())
        sys.exit(f"{__doc__}\n\n{listed}")
    module = importlib.import_module(f"bench.{arguments[0].replace('-', '_')}")
    module.main(arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
