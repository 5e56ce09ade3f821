"""A secret in the tree is found by its shape, and what finds it does not tell it."""

import re
from pathlib import Path

import pytest

from chalicelib.api_keys.service import new_secret
from chalicelib.webhooks.signing import new_secret as new_webhook_secret
from infra.checks import secret_scan
from infra.checks.secret_scan import KNOWN, SHAPES

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
# In pieces, or they would be findings themselves.
SECRETS = {
    "an AWS access key": "AKIA" + LETTERS[-16:],
    "an AWS secret key": "aws_secret_access_key = " + LETTERS[:40],
    "a private key": "-----BEGIN " + "EC PRIVATE KEY-----",
    "a PayFlow API key": new_secret("prod"),
    "a webhook secret": new_webhook_secret(),
    "a GitHub token": "ghp_" + LETTERS[:36],
    "a registry's token": "npm_" + LETTERS[:36],
    "a chat's token": "xoxb-" + LETTERS[:20],
    "a payment provider's key": "sk_live_" + LETTERS[:24],
    "a Google key": "AIza" + LETTERS[:35],
    "a signed token": ".".join(["eyJ" + LETTERS[:12], "eyJ" + LETTERS[:12], LETTERS[:12]]),
    "a password in an address": "postgres://app:" + LETTERS[:8] + "@db.example",
}


def test_every_shape_of_secret_has_an_example() -> None:
    assert SECRETS.keys() == SHAPES.keys()


@pytest.mark.parametrize("kind", SECRETS)
@pytest.mark.parametrize("around", ["{}", 'KEY="{}"', "  key: {}  # ours", "+{}"])
def test_secret_is_found_anywhere_in_a_line(kind: str, around: str) -> None:
    (found,) = secret_scan.leaks([("a/file:7", around.format(SECRETS[kind]))])
    assert (found.place, found.kind) == ("a/file:7", kind)


@pytest.mark.parametrize(
    "line",
    [
        "pf_local_…", "whsec_…", "Authorization: Bearer pf_dev_…", "http://127.0.0.1:4566/x@y",
        "https://${HOST}:${PORT}@x", "sha256:" + "0123456789abcdef" * 4, "git@github.com:a/b.git",
        "arn:aws:iam::123456789012:role/x", "PAY-01M82Y8T27997E9EYD0G6SK6MT",
    ],
)  # fmt: skip
def test_text_about_secrets_is_no_secret(line: str) -> None:
    assert list(secret_scan.leaks([("a/file:7", line)])) == []


def test_untracked_file_with_a_secret_fails_without_printing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(secret_scan, "ROOT", tmp_path)
    (tmp_path / "settings.py").write_text("\n".join(SECRETS.values()))
    with pytest.raises(SystemExit):
        secret_scan.main([])
    said = capsys.readouterr().out
    assert re.findall("settings.py:([0-9]+)", said) == [str(n + 1) for n in range(len(SECRETS))]
    assert not any(secret in said for secret in SECRETS.values())


def test_no_file_has_a_secret_and_every_exception_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret_scan.main([])
    monkeypatch.setattr(secret_scan, "KNOWN", {})
    assert {
        leak.fingerprint for leak in secret_scan.leaks(secret_scan._file_lines())
    } == KNOWN.keys()
