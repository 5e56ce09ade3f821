"""The local API's server, where no stack is needed to see what it does."""

import pytest

from infra.local.server import Server


def said_of(error: Exception, capsys: pytest.CaptureFixture[str]) -> str:
    try:
        raise error
    except Exception:
        Server.handle_error(Server.__new__(Server), None, ("127.0.0.1", 1))
    return capsys.readouterr().err


def test_bug_logs_a_trace_and_a_client_that_hangs_up_does_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert said_of(BrokenPipeError(), capsys) == ""
    assert said_of(ConnectionResetError(), capsys) == ""
    assert "KeyError" in said_of(KeyError(), capsys)
