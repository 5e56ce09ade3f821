"""The base class of all models: requests, stored items and answers.

Guarantee: validators are built on a model's first use, so that a new process builds only what its
first request needs. They are built once, even if several threads use the model at the same time.
"""

import threading
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from chalicelib import exact_json

_BUILDING: Final = threading.RLock()


class Schema(BaseModel):
    """A model whose validators are built on first use."""

    model_config = ConfigDict(defer_build=True)

    @classmethod
    def model_rebuild(cls, **options: Any) -> bool | None:
        """Build the validators, one thread at a time.

        pydantic calls this on first use. Without the lock, one thread can discard what another has
        just built.
        """
        with _BUILDING:
            return super().model_rebuild(**options)

    def to_json(self) -> str:
        """Return the JSON of an API answer. Amounts keep their digits."""
        return exact_json.dumps(self.model_dump())
