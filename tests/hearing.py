"""Records the calls of AWS that each of the app's functions makes.

Guarantee: every call that a boto3 client makes for one of the app's handlers is recorded, from
every client, thread, process and test. Processes of the local stack import this module too, so it
imports only what they have.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from pathlib import Path
from typing import Any, Final, NamedTuple

from botocore.handlers import BUILTIN_HANDLERS
from chalice.app import Chalice, EventSourceHandler

API: Final = "api_handler"
"""Chalice's name for the one function behind all routes."""

FOLDER: Final = "PAYFLOW_TEST_HEARD"
"""The environment variable with the folder to which child processes write their calls."""


class Call(NamedTuple):
    """One call of AWS, with the function that made it and the test that ran the function."""

    function: str
    service: str
    operation: str
    params: Mapping[str, Any]
    test: str


class Recorder:
    """Records the calls of AWS that functions make.

    A call belongs to the function whose handler made it, in whatever thread. A call that a test or
    the local stack makes for itself belongs to no function, and is not kept.
    """

    def __init__(self, keep: Callable[[Call], None]) -> None:
        self.entered: list[str] = []
        """Each run of a handler: its function's name, or its route as `GET /v1/health`."""
        self._keep = keep
        self._running: ContextVar[str | None] = ContextVar("running", default=None)

    def listen(self) -> None:
        """Listen to every handler, and to every client that a session creates from now on."""
        recorder = self
        call_api, call_other = Chalice.__call__, EventSourceHandler.__call__
        submit = ThreadPoolExecutor.submit

        def run_api(app: Chalice, event: Any, context: Any) -> dict[str, Any]:
            if app.app_name != "payflow":  # an app of a test's own
                return call_api(app, event, context)
            request = event["requestContext"]
            with recorder._run(API, f"{request['httpMethod']} {request['resourcePath']}"):
                return call_api(app, event, context)

        def run_other(handler: EventSourceHandler, event: Any, context: Any) -> Any:
            name = handler.func.__name__
            with recorder._run(name, name):
                return call_other(handler, event, context)

        def submit_in_context(
            pool: ThreadPoolExecutor, work: Callable[..., Any], /, *values: Any, **named: Any
        ) -> Future[Any]:
            return submit(pool, copy_context().run, work, *values, **named)

        patches: list[tuple[Any, str, Any]] = [
            (Chalice, "__call__", run_api),
            (EventSourceHandler, "__call__", run_other),
            (ThreadPoolExecutor, "submit", submit_in_context),
        ]
        for where, name, patched in patches:
            setattr(where, name, patched)
        BUILTIN_HANDLERS.append(("provide-client-params", self._hear))

    @contextmanager
    def _run(self, function: str, entry: str) -> Iterator[None]:
        self.entered.append(entry)
        token = self._running.set(function)
        try:
            yield
        finally:
            self._running.reset(token)

    def _hear(self, params: Mapping[str, Any], model: Any, **_: Any) -> None:
        function = self._running.get()
        if function is not None:
            test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
            service: str = model.service_model.service_name
            self._keep(Call(function, service, model.name, dict(params), test))


def write_down(folder: Path) -> Callable[[Call], None]:
    """Return a function that appends each call to this process's file in `folder`.

    One write for each call: the process may be killed at any moment.
    """

    def keep(call: Call) -> None:
        with file_of_this_process(folder).open("ab", buffering=0) as lines:
            lines.write(json.dumps(call, default=repr).encode() + b"\n")

    return keep


def file_of_this_process(folder: Path) -> Path:
    return folder / f"{os.getpid()}.jsonl"


def written_down(folder: Path) -> Iterator[Call]:
    """Yield the calls that any process wrote to `folder`."""
    for file in folder.glob("*.jsonl"):
        yield from read(file)


def read(file: Path) -> Iterator[Call]:
    """Yield the calls in `file`; none if there is no file yet."""
    if not file.exists():
        return
    with file.open() as lines:
        for line in lines:
            yield Call(*json.loads(line))
