"""`python -m infra.openapi`: the API's OpenAPI document, without an API that runs."""

import os
import sys

from chalicelib import exact_json, openapi


def main() -> None:
    # The app asks for settings when it is imported; what it says of itself depends on none.
    os.environ.pop("AWS_PROFILE", None)
    os.environ.update(
        PAYFLOW_STAGE="local",
        PAYFLOW_AUTH="required",
        PAYFLOW_ALLOWED_ORIGIN="https://origin.invalid",
        PAYFLOW_WEBHOOK_QUEUE_URL="https://queue.invalid",
    )
    import app

    sys.stdout.write(exact_json.dumps(openapi.document(app.app)))


if __name__ == "__main__":
    main()
