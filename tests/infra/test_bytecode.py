"""The bytecode that ships: made by the right Python, the same everywhere, taken without a look."""

import subprocess
import sys
from pathlib import Path

import pytest

from infra.deploy import bytecode, contents, package

THIS = contents.this_machine().python
MODULES = {
    "greeting.py": b"WORDS = {'good', 'day', 'to', 'you'}\ndef say(): return 'compiled'\n",
    "parts/__init__.py": b"",
    "parts/broken.py": b"def fail(): raise ValueError\n",
    "parts/data.json": b"{}",
}


def written(files: dict[str, bytes], folder: Path) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_every_module_has_bytecode_that_is_the_same_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = bytecode.of(MODULES, THIS)
    modules = [name for name in MODULES if name.endswith(".py")]
    assert made.keys() == {bytecode.name_of(name, THIS) for name in modules}
    monkeypatch.setenv("PYTHONHASHSEED", "4711")
    assert bytecode.of(dict(reversed(MODULES.items())), THIS) == made


def test_bytecode_is_taken_without_a_look_at_its_source(tmp_path: Path) -> None:
    changed = MODULES | {"greeting.py": b"def say(): return 'interpreted'\n"}
    folder = written(changed | bytecode.of(MODULES, THIS), tmp_path)
    ended = subprocess.run(
        [sys.executable, "-B", "-c", "import greeting; print(greeting.say())"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    assert ended.stdout == "compiled\n"


def test_pyenvs_python_is_found_and_a_command_of_another_version_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path, home = tmp_path / "bin", tmp_path / f"pyenv/versions/{THIS}.99/bin"
    for folder in (on_path, home):
        folder.mkdir(parents=True)
    (on_path / f"python{THIS}").write_text("#!/bin/sh\necho cpython 3.0\n")
    (on_path / f"python{THIS}").chmod(0o755)
    (home / f"python{THIS}").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (home / f"python{THIS}").chmod(0o755)
    monkeypatch.setattr(bytecode, "_WHERE_ELSE", ())
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    monkeypatch.setenv("PATH", str(on_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    assert bytecode.interpreter_of(THIS) == home / f"python{THIS}"
    (home / f"python{THIS}").unlink()
    assert bytecode.interpreter_of(THIS) is None


def test_package_without_the_right_python_says_that_it_has_no_bytecode() -> None:
    assert bytecode.interpreter_of("3.99") is None
    assert bytecode.of(MODULES, "3.99") == {}
    said = package._bytecode(MODULES)
    assert said.startswith(f"no bytecode, for which there is no Python {contents.PYTHON} on this")
    made = bytecode.of(MODULES, THIS)
    assert package._bytecode([*MODULES, *made]).endswith("for 3 modules")
