"""Settles the payments of a batch of messages with few calls of AWS.

Guarantee: each payment is settled as `Payments.settle` does it, and none is in the way of another.
Several are marked in one transaction, and outcomes that come at about the same time are committed
in one. If a payment makes such a transaction fail, all of them are marked one by one, or committed
in two halves:

    one      ── marked ── processor ── committed
    several  ── marked together ──┬── processor ──┬── committed together
                                  └── processor ──┘

While DynamoDB is out of reach, all payments of a transaction fail: their messages come again. While
it throttles, smaller transactions are tried.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple, TypeVar

from chalicelib.aws.clients import Throttled
from chalicelib.errors import Unavailable
from chalicelib.messages import Failures, SettlePayment, each
from chalicelib.payments.facts import Fact
from chalicelib.payments.models import Payment, Status
from chalicelib.payments.service import Payments
from chalicelib.telemetry import log
from chalicelib.values import SYSTEM

Result = TypeVar("Result")

TOGETHER_SECONDS: Final = 0.01
"""How long an outcome waits for others that can be committed with it."""
_MAX_THREADS: Final = 64
"""More than one batch needs: the local stack processes several at once in a process."""


class Told(NamedTuple):
    """What the processor said of a payment."""

    payment: Payment
    fact: Fact


@dataclass(frozen=True)
class Settling:
    """Settles the payments of one stage, in one process."""

    payments: Payments
    _threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(max_workers=_MAX_THREADS)
    )

    def settle(self, messages: Sequence[SettlePayment]) -> Failures:
        """Settle the payments of different messages, and return the errors of some."""
        marked = self._marked([message.payment_id for message in messages])
        alone = [message for message in messages if message.payment_id not in marked]
        errors = self._settle([one for one in marked.values() if one.status is Status.PROCESSING])
        failures = each(self.payments.settle)(alone)
        failures |= {SettlePayment(payment_id): error for payment_id, error in errors.items()}
        return failures

    def _marked(self, payment_ids: Sequence[str]) -> Mapping[str, Payment]:
        """Mark several payments as submitted, and return them; or mark none.

        They are read beside the write, so another worker's `submitted_at` may be missing: then a
        change of the payment raises StaleVersion. Raises Unavailable.
        """
        if len(payment_ids) < 2:
            return {}
        repository, now = self.payments.repository, self.payments.clock()
        reading = self._threads.submit(repository.find_many, payment_ids)
        try:
            repository.mark_all_submitted(payment_ids, now)
            found = reading.result()
        except Exception as error:
            if _is_out_of_reach(error):
                raise
            log("marked_one_by_one", reason=repr(error))
            return {}
        finally:
            wait([reading])  # Lambda would freeze it
        return {
            payment_id: payment.model_copy(update={"submitted_at": payment.submitted_at or now})
            for payment_id, payment in found.items()
        }

    def _settle(self, payments: Sequence[Payment]) -> dict[str, Exception]:
        """Settle payments that are marked, and return errors by their ids."""
        errors: dict[str, Exception] = {}
        asked = {self._threads.submit(self.payments.ask, one): one for one in payments}
        for answered in _as_they_come(asked):
            told = []
            for future in answered:
                payment, error = asked[future], future.exception()
                if isinstance(error, Exception):
                    errors[payment.id] = error
                elif fact := future.result():
                    told.append(Told(payment, fact))
            errors |= self._record(told)
        return errors

    def _record(self, told: Sequence[Told]) -> dict[str, Exception]:
        """Record outcomes in one transaction, or else in two halves."""
        try:
            if len(told) == 1:
                self.payments.record_outcome(*told[0])
            elif told:
                self._record_together(told)
        except Exception as error:
            if len(told) == 1 or _is_out_of_reach(error):
                return {payment.id: error for payment, _ in told}
            log("committed_in_halves", reason=repr(error))
            half = len(told) // 2
            return self._record(told[:half]) | self._record(told[half:])
        return {}

    def _record_together(self, told: Sequence[Told]) -> None:
        now = self.payments.clock
        changes = [
            (payment, change)
            for payment, fact in told
            if (change := payment.record(fact, now(), actor=SYSTEM))  # it is processing
        ]
        write = partial(self.payments.repository.change_all, changes)
        self.payments.commit([change for _, change in changes], write)


def _is_out_of_reach(error: Exception) -> bool:
    return isinstance(error, Unavailable) and not isinstance(error, Throttled)


def _as_they_come(asked: Iterable[Future[Result]]) -> Iterator[set[Future[Result]]]:
    """Yield what is done at about the same time, until all is."""
    left = set(asked)
    while left:
        wait(left, return_when=FIRST_COMPLETED)
        done, left = wait(left, timeout=TOGETHER_SECONDS)
        yield done
