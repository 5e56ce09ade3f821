"""Hints, batches of them, and the sweeper that makes lost ones good."""

from typing import Final

from tests.mutations.mutant import Mutant

MESSAGES: Final = (
    Mutant(
        "lost-hint-fails-the-request",
        "A hint that is lost is left to the sweeper: what is committed is answered",
        "chalicelib/queue_jobs.py",
        """        queue.send(job)
    except Unavailable as error:
""",
        """        queue.send(job)
    except MalformedJob as error:
""",
        ("test_payments", "test_lambda"),
    ),
    Mutant(
        "queue-outage-is-a-bug",
        "A queue that is gone is told as unavailable, for whatever reason",
        "chalicelib/queue_jobs.py",
        "except (BotoCoreError, ClientError) as error:",
        "except ClientError as error:",
        ("test_queue_jobs",),
    ),
    Mutant(
        "failures-not-reported",
        "What a worker could not do is reported, so that it comes again",
        "chalicelib/queue_jobs.py",
        "return [message.id for message, is_done in zip(messages, done, strict=True) if not is_done]",
        "return []",
        ("test_queue_jobs",),
    ),
    Mutant(
        "failures-not-handed-on",
        "The function tells SQS which messages of a batch have failed",
        "app.py",
        'return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}',
        'return {"batchItemFailures": [] if failed else []}',
        ("test_lambda",),
    ),
    Mutant(
        "one-fails-all",
        "One message that fails does not fail the other nine",
        "chalicelib/queue_jobs.py",
        """        log_exception("message_failed", error, message_id=message.id)
        return False
""",
        """        log_exception("message_failed", error, message_id=message.id)
        raise
""",
        ("test_queue_jobs",),
    ),
    Mutant(
        "all-are-reported",
        "What was done does not come again because of its neighbours",
        "chalicelib/queue_jobs.py",
        "return [message.id for message, is_done in zip(messages, done, strict=True) if not is_done]",
        "return [] if all(done) else [message.id for message in messages]",
        ("test_queue_jobs",),
    ),
    Mutant(
        "hopeless-comes-again",
        "What will never be a job is dropped, and does not fill the dead letter queue",
        "chalicelib/queue_jobs.py",
        """        log("message_dropped", message_id=message.id, reason=str(error))
        return True
""",
        """        log("message_dropped", message_id=message.id, reason=str(error))
        return False
""",
        ("test_queue_jobs",),
    ),
    Mutant(
        "newer-job-dropped",
        "A job of a newer version is not dropped by an older one",
        "chalicelib/queue_jobs.py",
        "raise UnknownJob(f\"type {content['type'][:40]!a}\")",
        "raise MalformedJob(f\"type {content['type'][:40]!a}\")",
        ("test_queue_jobs",),
    ),
    Mutant(
        "refused-hints-counted",
        "Hints that the queue refuses are not counted as sent",
        "chalicelib/queue_jobs.py",
        'taken += len(answer.get("Successful", []))',
        "taken += len(batch)",
        ("test_queue_jobs",),
    ),
    Mutant(
        "refund-job-done-nothing",
        "The worker settles refunds too",
        "app.py",
        "            refunds.settle(payment_id, refund_id)\n",
        "            store.get_refund(payment_id, refund_id)\n",
        ("test_lambda",),
    ),
    Mutant(
        "unknown-payment-comes-again",
        "A hint of no payment is dropped: a later try would not find it either",
        "chalicelib/payments.py",
        """            log("message_dropped", payment_id=payment_id, reason=error.detail)
            return
""",
        """            log("message_dropped", payment_id=payment_id, reason=error.detail)
            raise
""",
        ("test_payments",),
    ),
    Mutant(
        "sweep-by-the-clock",
        "A sweep that starts late or twice asks for the ages that it was scheduled for",
        "app.py",
        "unfinished().sweep(datetime.fromisoformat(event.time))",
        "unfinished().sweep(now())",
        ("test_lambda",),
    ),
    Mutant(
        "gap-between-sweeps",
        "The windows of successive sweeps meet without a gap",
        "chalicelib/sweeper.py",
        "(to_moment(now - unit * (2**k + 1)), to_moment(now - unit * 2**k))",
        "(to_moment(now - unit * (2**k + 0.9)), to_moment(now - unit * 2**k))",
        ("test_sweeper",),
    ),
    Mutant(
        "oldest-excluded",
        "What has just outlived the last window is stuck, not forgotten",
        "chalicelib/sweeper.py",
        "return to_moment(now - unit * (2 ** _DOUBLINGS[-1] + 1))",
        "return to_moment(now - unit * (2 ** _DOUBLINGS[-1] + 2))",
        ("test_sweeper",),
    ),
    Mutant(
        "given-up-early",
        "What is unfinished is hinted of for 5.7 days",
        "chalicelib/sweeper.py",
        "_DOUBLINGS: Final = range(1, 14)",
        "_DOUBLINGS: Final = range(1, 12)",
        ("test_sweeper",),
    ),
    Mutant(
        "stuck-not-logged",
        "What is stuck is named in the log",
        "chalicelib/sweeper.py",
        "            if ids:\n",
        "            if not ids:\n",
        ("test_sweeper",),
    ),
    Mutant(
        "stuck-not-counted",
        "What is stuck is in the metric that the alarm reads",
        "chalicelib/sweeper.py",
        'counts = {f"Stuck{kind.capitalize()}": len(ids) for kind, ids in stuck.items()}',
        'counts = {f"Stuck{kind.capitalize()}": 0 for kind, ids in stuck.items()}',
        ("test_sweeper",),
    ),
    Mutant(
        "silent-sweeper",
        "Every sweep writes its heartbeat",
        "chalicelib/sweeper.py",
        "count(self.stage, SweeperHeartbeat=1, HintsResent=hinted, **counts)",
        "count(self.stage, HintsResent=hinted, **counts)",
        ("test_sweeper",),
    ),
    Mutant(
        "stuck-hide-the-newer",
        "What is stuck takes no place from what came after it",
        "chalicelib/sweeper.py",
        "(to_moment(now - unit * (2**k + 1)), to_moment(now - unit * 2**k))",
        "(EARLIEST, to_moment(now - unit * 2**k))",
        ("test_sweeper",),
    ),
    Mutant(
        "outage-hides-the-stuck",
        "An outage of the queue hides neither the stuck nor the heartbeat",
        "chalicelib/sweeper.py",
        """            except Unavailable as error:
                outage = error
""",
        """            except Unavailable:
                raise
""",
        ("test_sweeper",),
    ),
    Mutant(
        "outage-of-a-sweep-hidden",
        "A sweep that could not send its hints fails",
        "chalicelib/sweeper.py",
        """        if outage is not None:
            raise outage
""",
        "",
        ("test_sweeper",),
    ),
    Mutant(
        "first-page-only",
        "A window of more than a page is hinted whole",
        "chalicelib/sweeper.py",
        "        if len(page) < _PAGE:\n",
        "        if page or not page:\n",
        ("test_sweeper",),
    ),
    Mutant(
        "page-edge-skipped",
        "From one page of a window to the next nothing is skipped",
        "chalicelib/sweeper.py",
        "lower = just_after(page[-1].sort_key)",
        'lower = f"{page[-1].sort_key[:27]}~"',
        ("test_sweeper",),
    ),
    Mutant(
        "refunds-not-swept",
        "Refunds are swept as payments are",
        "chalicelib/sweeper.py",
        "            yield SettleRefund(refund.payment_id, refund.refund_id)\n",
        "            refund.payment_id\n",
        ("test_sweeper",),
    ),
    Mutant(
        "shard-of-deliveries-not-swept",
        "Deliveries that are due are found in every shard",
        "chalicelib/sweeper.py",
        "late = [shard for shard in range(DUE_SHARDS) if self._has_late(shard, now)]",
        "late = [shard for shard in range(1, DUE_SHARDS) if self._has_late(shard, now)]",
        ("test_webhooks", "test_sweeper"),
    ),
    Mutant(
        "late-deliveries-not-swept",
        "A delivery is hinted of again when it is a unit late",
        "chalicelib/sweeper.py",
        "for window in [_just_late(now, self.unit), *age_windows(now, self.unit)]:",
        "for window in age_windows(now, self.unit):",
        ("test_webhooks",),
    ),
    Mutant(
        "hints-for-the-stuck-alone",
        "By command all that is unfinished is hinted of again, as after a queue was purged",
        "chalicelib/sweeper.py",
        "unfinished = (EARLIEST, to_moment(now - older_than))",
        "unfinished = (EARLIEST, stuck_before(now, self.unit))",
        ("test_sweeper", "test_webhooks"),
    ),
    Mutant(
        "deliveries-without-bound",
        "A sweep takes a bounded number of due deliveries",
        "chalicelib/sweeper.py",
        "jobs = islice(self._due_jobs(shard, *window), MAX_DUE_HINTED)",
        "jobs = self._due_jobs(shard, *window)",
        ("test_webhooks",),
    ),
)
