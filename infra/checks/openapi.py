"""Print the API's OpenAPI document, without running the API."""

import os
import sys

from chalicelib import exact_json
from chalicelib.api import openapi


def main() -> None:
    # Importing the app needs these settings.
    os.environ.pop("AWS_PROFILE", None)
    os.environ.update(
        PAYFLOW_STAGE="local",
        PAYFLOW_AUTH="required",
        PAYFLOW_SIMULATION="allowed",  # include every route
        PAYFLOW_ALLOWED_ORIGIN="https://origin.invalid",
    )
    import app

    sys.stdout.write(exact_json.dumps(openapi.document(app.app)))


if __name__ == "__main__":
    main()
