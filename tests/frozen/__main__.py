"""Write the facts of a release: python -m tests.frozen VERSION. Those that are there stay."""

import json
import sys
from typing import Any

from tests.frozen import facts, scenario


def main(arguments: list[str]) -> None:
    (release,) = arguments
    folder = facts.FOLDER / release
    folder.mkdir(exist_ok=True)
    for name, content in gathered().items():
        path = folder / f"{name}.json"
        if not path.exists():
            path.write_text(as_text(content))


def gathered() -> dict[str, Any]:
    with scenario.stage():
        received = facts.received()
    with scenario.stage() as stage:
        scenario.tell(stage)
        rows = stage.rows()
        return {
            "rows": {"now": stage.now.isoformat(), "rows": rows},
            "messages": {"sent": stage.product.messages, "received": received},
            "webhooks": stage.posts,
            "cursors": facts.cursors(),
            "fingerprints": facts.fingerprints(),
            "answers": {"created": stage.requests, "read": facts.answers(rows)},
        }


def as_text(content: Any) -> str:
    """JSON with a line for each part of the outer list or object, and of the lists in it."""
    match content:
        case dict():
            parts = [f"{json.dumps(name)}: {_nested(part)}" for name, part in content.items()]
            return "{\n" + ",\n".join(parts) + "\n}\n"
        case _:
            return _nested(content) + "\n"


def _nested(content: Any) -> str:
    if not isinstance(content, list):
        return json.dumps(content, ensure_ascii=False)
    return "[\n" + ",\n".join(json.dumps(part, ensure_ascii=False) for part in content) + "\n]"


if __name__ == "__main__":
    main(sys.argv[1:])
