"""An S3 bucket: the only module that calls S3.

Guarantee: what was stored is what was sent, because S3 compares its MD5. Completing an upload that
is complete already changes nothing. Every call raises Unavailable when S3 cannot answer.
"""

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from botocore.exceptions import ClientError

from chalicelib.aws.clients import outage_is_unavailable

MIN_PART_BYTES: Final = 5 * 1024 * 1024
"""S3's limit for every part of an upload but its last."""

_LOST: Final = frozenset({"NoSuchUpload", "InvalidPart", "InvalidPartOrder"})
_ABSENT: Final = frozenset({"404", "NoSuchKey", "403", "AccessDenied"})
"""S3 answers 403 for an absent object to a caller that may not list the bucket."""


class UploadLost(Exception):
    """S3 no longer has the upload, or not the parts that it confirmed."""


class Part(NamedTuple):
    """One part of an upload, as S3 confirmed it."""

    number: int
    etag: str


class Bucket:
    """One bucket. Its client is made on first use: few processes need it, and it loads slowly."""

    def __init__(self, s3: Callable[[], Any], name: str) -> None:
        self._s3 = s3
        self._name = name

    def begin_upload(self, key: str, content_type: str) -> str:
        """Return the id of a new upload of several parts."""
        with outage_is_unavailable("S3"):
            answer = self._s3().create_multipart_upload(
                Bucket=self._name, Key=key, ContentType=content_type
            )
        upload_id: str = answer["UploadId"]
        return upload_id

    def upload_part(self, key: str, upload_id: str, number: int, body: bytes) -> Part:
        """Store one part; a part of the same number is replaced. Raises UploadLost."""
        with _loss_is_told(), outage_is_unavailable("S3"):
            answer = self._s3().upload_part(
                Bucket=self._name,
                Key=key,
                UploadId=upload_id,
                PartNumber=number,
                Body=body,
                ContentMD5=_md5(body),
            )
        return Part(number, answer["ETag"])

    def complete_upload(self, key: str, upload_id: str, parts: Iterable[Part]) -> None:
        """Make an object of the parts. Raises UploadLost unless the object is there then."""
        listed = [{"PartNumber": part.number, "ETag": part.etag} for part in parts]
        try:
            with _loss_is_told(), outage_is_unavailable("S3"):
                self._s3().complete_multipart_upload(
                    Bucket=self._name,
                    Key=key,
                    UploadId=upload_id,
                    MultipartUpload={"Parts": listed},
                )
        except UploadLost:
            # An earlier try whose answer was lost completed it.
            if not self._exists(key):
                raise

    def _exists(self, key: str) -> bool:
        with outage_is_unavailable("S3"):
            try:
                self._s3().head_object(Bucket=self._name, Key=key)
            except ClientError as error:
                if error.response["Error"]["Code"] in _ABSENT:
                    return False
                raise
        return True

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Delete the parts of an upload. No-op if there is no such upload."""
        with outage_is_unavailable("S3"):
            try:
                self._s3().abort_multipart_upload(Bucket=self._name, Key=key, UploadId=upload_id)
            except ClientError as error:
                if error.response["Error"]["Code"] != "NoSuchUpload":
                    raise

    def put(self, key: str, body: bytes) -> None:
        """Store an object, replacing what is there."""
        with outage_is_unavailable("S3"):
            self._s3().put_object(Bucket=self._name, Key=key, Body=body, ContentMD5=_md5(body))

    def get(self, key: str) -> bytes:
        """Return a small object. Raises UploadLost if it is not there."""
        with outage_is_unavailable("S3"):
            try:
                answer = self._s3().get_object(Bucket=self._name, Key=key)
            except ClientError as error:
                if error.response["Error"]["Code"] in _ABSENT:
                    raise UploadLost(key) from error
                raise
            body: bytes = answer["Body"].read()
        return body

    def link(self, key: str, file_name: str, *, seconds: int) -> str:
        """Return a link that downloads the object. No call: it is signed with the caller's key."""
        url: str = self._s3().generate_presigned_url(
            "get_object",
            Params={
                "Bucket": self._name,
                "Key": key,
                "ResponseContentDisposition": f'attachment; filename="{file_name}"',
            },
            ExpiresIn=seconds,
        )
        return url


@contextmanager
def _loss_is_told() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] in _LOST:
            raise UploadLost(error.response["Error"]["Code"]) from error
        raise


def _md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
