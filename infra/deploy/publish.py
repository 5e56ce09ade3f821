"""Publish a build of the dashboard: upload it, then have CloudFront forget what it showed.

Guarantee: at every moment the page that is shown finds its assets. They are uploaded before the
page that asks for them, under names that say their contents, and none is ever removed: a tab that
was opened before keeps working.
"""

import argparse
import mimetypes
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError, WaiterError

from infra.deploy.stacks import DeployError, choose_region

PAGE: Final = "index.html"
ASSETS: Final = "assets"
"""Where Vite puts what it names by contents."""

_A_YEAR: Final = "public, max-age=31536000, immutable"
_ASK_EACH_TIME: Final = "no-cache"
_WAITING: Final = {"Delay": 5, "MaxAttempts": 180}


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.deploy.publish", description=__doc__)
    parser.add_argument("folder", type=Path, help="what Vite has built")
    parser.add_argument("--bucket", required=True)
    parser.add_argument("--distribution", required=True, help="its id")
    asked = parser.parse_args(arguments)
    try:
        choose_region()
        publish(asked.folder, asked.bucket, asked.distribution)
    except DeployError as error:
        sys.exit(f"Not published: {error}")
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"Not published; AWS says: {error}")


def publish(folder: Path, bucket: str, distribution: str) -> None:
    """Returns once CloudFront shows the new build. Raises DeployError, and what boto3 raises."""
    files = list(in_order(folder))
    s3 = boto3.client("s3")
    for file in files:
        s3.put_object(Bucket=bucket, Key=file, Body=(folder / file).read_bytes(), **headers(file))
    cloudfront: Any = boto3.client("cloudfront")
    invalidation = cloudfront.create_invalidation(
        DistributionId=distribution,
        InvalidationBatch={
            "Paths": {"Quantity": 1, "Items": ["/*"]},
            "CallerReference": str(uuid.uuid4()),
        },
    )["Invalidation"]["Id"]
    try:
        cloudfront.get_waiter("invalidation_completed").wait(
            DistributionId=distribution, Id=invalidation, WaiterConfig=_WAITING
        )
    except WaiterError as error:
        raise DeployError(f"CloudFront still shows the build before: {error}") from None


def in_order(folder: Path) -> Iterator[str]:
    """A build's files, each after those that it asks for: the page comes last.

    Raises DeployError where there is no build.
    """
    if not (folder / PAGE).exists():
        raise DeployError(f"there is no {PAGE} in {folder}; build the dashboard first")
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    yield from sorted(files, key=lambda file: (file == PAGE, not _is_asset(file), file))


def headers(file: str) -> dict[str, str]:
    """What S3 keeps of a file and CloudFront sends: what it is, and how long it holds."""
    kind, _ = mimetypes.guess_type(file)
    cache = _A_YEAR if _is_asset(file) else _ASK_EACH_TIME
    return {"ContentType": kind or "application/octet-stream", "CacheControl": cache}


def _is_asset(file: str) -> bool:
    return file.startswith(f"{ASSETS}/")


if __name__ == "__main__":
    main(sys.argv[1:])
