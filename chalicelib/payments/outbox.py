"""The interface of an outbox, which announces the changes of payments (`webhooks/outbox.py`)."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from chalicelib.aws.dynamodb import Write
from chalicelib.messages import Message
from chalicelib.payments.models import Change


class Outgoing(NamedTuple):
    """What announces a change: `writes` join its transaction, `messages` follow its commit."""

    writes: Sequence[Write] = ()
    messages: Sequence[Message] = ()


class Outbox(Protocol):
    def reading_ahead(self) -> AbstractContextManager[None]:
        """Read what `prepare` needs beside what the block, a batch of messages, does first."""

    def prepare(self, changes: Sequence[Change]) -> Outgoing:
        """Return what announces the changes. Raises Unavailable."""

    def enqueue(self, outgoing: Outgoing) -> None:
        """Enqueue the messages after the commit. If SQS is down, log them: the sweeper retries."""
