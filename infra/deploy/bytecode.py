"""Compiles what ships, so that no new process on Lambda does: it took two fifths of its start.

Guarantee: the bytecode is made here, from the files that are given, by the target's own version of
Python; the same files give the same bytes. None of their code runs. Python takes the bytecode as it
is, without a look at its source (https://peps.python.org/pep-0552/): so nobody else's is ever kept.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

_ON_LAMBDA: Final = "/var/task"
"""Where the files will be. Otherwise the bytecode would name a folder of this machine."""
_WHERE_ELSE: Final = ("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin")


def name_of(module: str, python: str) -> str:
    """Return the name of a module's bytecode, beside the name of its source."""
    path = PurePosixPath(module)
    tag = f"cpython-{python.replace('.', '')}"
    return str(path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc")


def of(files: Mapping[str, bytes], python: str) -> dict[str, bytes]:
    """Return the bytecode of the modules among `files`; none without that version of Python.

    Raises CalledProcessError if a module cannot be compiled.
    """
    interpreter = interpreter_of(python)
    if interpreter is None:
        return {}
    modules = {name: content for name, content in files.items() if name.endswith(".py")}
    with tempfile.TemporaryDirectory() as folder:
        for name, content in modules.items():
            (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / name).write_bytes(content)
        compiling = [str(interpreter), "-P", "-m", "compileall", "-q", "-j", "1"]
        compiling += ["--invalidation-mode", "unchecked-hash"]
        compiling += ["-s", folder, "-p", _ON_LAMBDA, folder]
        env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        subprocess.run(compiling, env=env | {"PYTHONHASHSEED": "0"}, check=True)  # noqa: S603
        made = {name: Path(folder) / name_of(name, python) for name in modules}
        return {name_of(name, python): file.read_bytes() for name, file in made.items()}


def interpreter_of(python: str) -> Path | None:
    """Return an interpreter of this version of CPython: this one, one of PATH's or of pyenv's."""
    return next((one for one in _candidates(python) if _is(one, python)), None)


def _candidates(python: str) -> Iterator[Path]:
    yield Path(sys.executable)
    for folder in (*os.get_exec_path(), *_WHERE_ELSE):
        yield Path(folder) / f"python{python}"
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(pyenv.glob(f"versions/{python}.*/bin/python{python}"), reverse=True)


def _is(interpreter: Path, python: str) -> bool:
    asked = "import sys; print(sys.implementation.name, '%d.%d' % sys.version_info[:2])"
    try:
        said = subprocess.run(  # noqa: S603
            [str(interpreter), "-I", "-c", asked], check=False, capture_output=True, text=True
        )
    except OSError:
        return False
    return said.stdout.split() == ["cpython", python]
