"""`python -m infra.local [reset]`: run the local stack, or empty it."""

import sys

from infra.local import settings, supervisor


def main() -> None:
    actions = {(): supervisor.run, ("reset",): supervisor.reset}
    action = actions.get(tuple(sys.argv[1:]))
    if action is None:
        sys.exit("Usage: python -m infra.local [reset]")
    try:
        action(settings.from_environment())
    except settings.SetupError as error:
        sys.exit(f"\n{error}")
    except KeyboardInterrupt:  # before there was anything to stop
        sys.exit(130)


if __name__ == "__main__":
    main()
