"""The calls that a flow makes, kept so that they can be made again with nothing around them."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore import xform_name


@dataclass(frozen=True)
class Call:
    """One call of a client."""

    make: Callable[..., Any]
    operation: str
    """As AWS spells it."""
    request: Any

    def again(self) -> Any:
        return self.make(**self.request)

    def with_others(self, names: Mapping[str, str]) -> "Call":
        """The same of another payment: each text in `names` is replaced wherever it stands."""
        text = json.dumps(self.request)
        for old, new in names.items():
            text = text.replace(old, new)
        return Call(self.make, self.operation, json.loads(text))


@dataclass
class Recorder:
    """Hears what clients are asked for, while it is on."""

    calls: list[Call] = field(default_factory=list)
    _is_on: bool = False

    def listen_to(self, client: Any) -> None:
        def hear(params: Any, model: Any, **_: Any) -> None:
            if self._is_on:
                make = getattr(client, xform_name(model.name))
                self.calls.append(Call(make, model.name, params))

        client.meta.events.register("provide-client-params.*.*", hear)

    @contextmanager
    def on(self) -> Iterator[list[Call]]:
        self.calls, self._is_on = [], True
        try:
            yield self.calls
        finally:
            self._is_on = False
