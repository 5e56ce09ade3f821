"""Reads YAML: CloudFormation's templates are written in it."""

from typing import Any, Final

import yaml

# libyaml takes an eighth of the time; not every build of PyYAML has it.
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read(text: str) -> Any:
    """Return what the YAML says. Raises yaml.YAMLError."""
    return yaml.load(text, Loader=_LOADER)  # noqa: S506 (both loaders are safe)
