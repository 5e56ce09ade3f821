"""`python -m infra.local [reset | hint-stuck]`: run the local stack, empty it, or help it along."""

import sys

from infra.local import settings, supervisor


def main() -> None:
    actions = {
        (): supervisor.run,
        ("reset",): supervisor.reset,
        ("hint-stuck",): supervisor.hint_stuck,
    }
    action = actions.get(tuple(sys.argv[1:]))
    if action is None:
        sys.exit("Usage: python -m infra.local [reset | hint-stuck]")
    try:
        action(settings.from_environment())
    except settings.SetupError as error:
        sys.exit(f"\n{error}")
    except KeyboardInterrupt:  # before there was anything to stop
        sys.exit(130)


if __name__ == "__main__":
    main()
