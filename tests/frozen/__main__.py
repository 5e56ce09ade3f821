"""Write a release's facts that no earlier release has: python -m tests.frozen VERSION."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests import engines
from tests.frozen import facts, product, scenario


def main(arguments: list[str]) -> None:
    (release,) = arguments
    folder = facts.FOLDER / release
    for name, content in gathered().items():
        if facts.releases(name) and content == facts.newest(name):
            continue
        folder.mkdir(exist_ok=True)
        with (folder / f"{name}.json").open("x") as file:  # one that is there is never edited
            file.write(as_text(content, depth=3 if name in {"openapi", "stacks"} else 2))


def gathered() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, engines.emulated_aws(Path(folder)) as aws_url:
        return _gathered(aws_url)


def _gathered(aws_url: str) -> dict[str, Any]:
    with scenario.stage(aws_url):
        received = facts.received()
    with scenario.stage(aws_url) as stage:
        scenario.tell(stage)
        rows = stage.rows()
        read = facts.answers(rows)
        lines = facts.log_lines(stage.unsettled)
    templates = product.templates() | {"package": product.packaged_template()}
    return {
        "rows": rows,
        "messages": {"sent": stage.product.messages, "received": received},
        "webhooks": stage.posts,
        "cursors": facts.cursors(),
        "fingerprints": facts.fingerprints(),
        "answers": {"created": stage.requests, "read": read},
        "log_lines": lines | {"logs": facts.logs(lines["requests"])},
        "settings": facts.settings(),
        "openapi": facts.without_prose(product.document()),
        "stacks": {name: facts.stack(template) for name, template in templates.items()},
    }


def as_text(content: Any, depth: int) -> str:
    """JSON whose outer levels have a line for each part, `depth` of them."""
    return _lines(content, depth) + "\n"


def _lines(content: Any, depth: int) -> str:
    if depth and isinstance(content, dict) and content:
        parts = (f"{json.dumps(name)}: {_lines(part, depth - 1)}" for name, part in content.items())
        return "{\n" + ",\n".join(parts) + "\n}"
    if depth and isinstance(content, list) and content:
        return "[\n" + ",\n".join(_lines(part, 0) for part in content) + "\n]"
    return json.dumps(content, ensure_ascii=False)


if __name__ == "__main__":
    main(sys.argv[1:])
