"""Python runs this first in each process that has this folder on its path.

From then on the process can look up no name, and can connect to the stack's own ports on loopback
alone: endpoints with made-up URLs are sent nothing, neither at a stranger's server nor at whatever
else listens on this machine. An audit hook cannot be removed.
"""

import os
import socket
import sys
from typing import Any

LOOPBACK = {"127.0.0.1", "localhost", None}
LOOK_UPS = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}
PORTS = {
    int(os.environ[name])
    for name in ("PAYFLOW_API_PORT", "PAYFLOW_AWS_PORT", "PAYFLOW_RECEIVER_PORT")
    if name in os.environ
}


def refuse_the_rest(event: str, arguments: tuple[Any, ...]) -> None:
    if event in LOOK_UPS and arguments[0] not in LOOPBACK:
        raise socket.gaierror(socket.EAI_NONAME, "no name is looked up while fuzzing")
    if event in {"socket.connect", "socket.sendto"}:
        place = arguments[1]
        if isinstance(place, tuple) and not (place[0] in LOOPBACK and place[1] in PORTS):
            raise ConnectionRefusedError(f"{place[:2]} is not the stack's")


sys.addaudithook(refuse_the_rest)
