"""How the files of a dashboard's build are served: by CloudFront, and by the local stack."""

import mimetypes
from typing import Final

PAGE: Final = "index.html"
ASSETS: Final = "assets"
"""Vite's folder for files whose names contain a hash."""

_IMMUTABLE: Final = "public, max-age=31536000, immutable"
_REVALIDATE: Final = "no-cache"


def headers(file: str) -> dict[str, str]:
    """Return the headers that S3 stores and CloudFront sends: type and caching."""
    kind, _ = mimetypes.guess_type(file)
    cache = _IMMUTABLE if is_asset(file) else _REVALIDATE
    return {"ContentType": kind or "application/octet-stream", "CacheControl": cache}


def is_asset(file: str) -> bool:
    """Return whether the name contains a hash: what it names never changes."""
    return file.startswith(f"{ASSETS}/")
