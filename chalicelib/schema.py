"""The base class of every model of a request, a stored item or an answer.

Guarantee: pydantic builds a model's validators when the model is first used, so that a new process
builds only what its first request needs; and it builds them once, however many threads use the
model first at the same time.
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

        pydantic calls this on first use. Its own version can discard what another thread has just
        built; a thread that waited here finds the work done.
        """
        with _BUILDING:
            return super().model_rebuild(**options)

    def to_json(self) -> str:
        """Return the JSON of an API answer. Amounts keep their digits."""
        return exact_json.dumps(self.model_dump())
