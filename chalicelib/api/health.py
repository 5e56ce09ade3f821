"""The health of the service."""

from typing import Literal

from pydantic import ConfigDict

from chalicelib.schema import Schema
from chalicelib.values import Timestamp


class CheckHealth(Schema):
    """With `deep=1`, check the tables and queues too. Other parameters are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    deep: Literal["0", "1"] = "0"


class Health(Schema):
    """The state of the service."""

    status: str
    service: str
    region: str
    timestamp: Timestamp
    version: str
