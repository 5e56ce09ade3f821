"""Publish a build of the dashboard: upload it, then invalidate CloudFront's cache.

Guarantee: a page always finds its assets. They are uploaded before the page that names them, under
names that contain a hash, and are never removed: a tab that was opened earlier keeps working.
"""

import argparse
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.exceptions import WaiterError

from infra import cli
from infra.deploy import site
from infra.deploy.stacks import DeployError, choose_region

_WAITING: Final = {"Delay": 5, "MaxAttempts": 180}


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.deploy.publish", description=__doc__)
    parser.add_argument("folder", type=Path, help="the folder that Vite built")
    parser.add_argument("--bucket", type=cli.bucket, required=True)
    parser.add_argument(
        "--distribution", type=cli.distribution, required=True, help="the distribution's id"
    )
    asked = parser.parse_args(arguments)
    with cli.exits("Not published", DeployError):
        choose_region()
        publish(asked.folder, asked.bucket, asked.distribution)


def publish(folder: Path, bucket: str, distribution: str) -> None:
    """Return when CloudFront serves the new build. Raises DeployError or boto3 errors."""
    files = list(in_order(folder))
    s3 = boto3.client("s3")
    for file in files:
        s3.put_object(
            Bucket=bucket, Key=file, Body=(folder / file).read_bytes(), **site.headers(file)
        )
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
        raise DeployError(f"CloudFront still serves the previous build: {error}") from None


def in_order(folder: Path) -> Iterator[str]:
    """Yield a build's files, each after those that it loads: the page comes last.

    Raises DeployError if there is no build.
    """
    if not (folder / site.PAGE).exists():
        raise DeployError(f"There is no {site.PAGE} in {folder}; build the dashboard first.")
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    yield from sorted(files, key=lambda file: (file == site.PAGE, not site.is_asset(file), file))


if __name__ == "__main__":
    main(sys.argv[1:])
