"""The class that every model of a request, a row or an answer is of.

Guarantee: a model's checks are built when it is first used, so that a new process builds the few
that its first request needs and not all that there are; and built once, however many threads use
it first at the same time.
"""

import threading
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

_BUILDING: Final = threading.RLock()


class Schema(BaseModel):
    """A model that is built when it is first used."""

    model_config = ConfigDict(defer_build=True)

    @classmethod
    def model_rebuild(cls, **how: Any) -> bool | None:
        """As pydantic's, which the first use calls; one at a time, since pydantic's own takes apart
        what another thread may have just built. Who waited finds it done.
        """
        with _BUILDING:
            return super().model_rebuild(**how)
