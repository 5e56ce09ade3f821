"""What payments ask of an outbox, which tells others of each change (`webhooks/outbox.py`)."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from chalicelib.aws.dynamodb import Write
from chalicelib.messages import Message
from chalicelib.payments.models import Change


class Outgoing(NamedTuple):
    """What goes out with a change: `writes` in its transaction, `messages` once it is committed."""

    writes: Sequence[Write] = ()
    messages: Sequence[Message] = ()


class Outbox(Protocol):
    def prepare(self, change: Change, *, created: datetime) -> Outgoing:
        """Decide what goes out with `change`; `created` is when its payment or refund was created.

        Raises Unavailable.
        """

    def enqueue(self, outgoing: Outgoing) -> None:
        """Enqueue what was committed. If SQS is down, log it: the sweeper is the retry."""
