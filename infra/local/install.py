"""Install what PayFlow needs, exactly as locked; `make` calls this when a lock has changed.

    run       create .venv and install what `make run` needs
    dev       add what tests, checks and benchmarks need
    package   create .package and install what packaging and deploying need
    frontend  install the dashboard's packages

An old Python must be able to parse this file: it then says that it is too old.
"""

import os
import re
import subprocess
import sys

NEEDED = (3, 11)
VENV = ".venv"
PACKAGE = ".package"
NODE_NEEDED = (20, 19)
FRONTEND = "frontend"
FRONTEND_READY = os.path.join(FRONTEND, "node_modules", "ready")


def main(what):
    steps = {
        "run": install_run,
        "dev": install_dev,
        "package": install_package,
        "frontend": install_frontend,
    }
    steps[what]()


def install_run():
    create(VENV, "once, about half a minute")
    install_locked(VENV, "requirements-run.lock")
    open(os.path.join(VENV, "ready"), "w").close()


def create(folder, takes):
    if sys.version_info < NEEDED:
        sys.exit(
            "PayFlow needs Python 3.11 or newer; this is %d.%d. Install a newer one, or name it: "
            "make PYTHON=/path/to/python3.11 ..." % sys.version_info[:2]
        )
    python = "%d.%d" % sys.version_info[:2]
    print("Setting up %s with Python %s (%s)" % (folder, python, takes))
    if subprocess.call([sys.executable, "-m", "venv", "--clear", folder]) != 0:
        sys.exit("Could not create %s; the reason is above." % folder)


def install_dev():
    print("Adding the tools for tests and checks to .venv (once, about a minute)")
    install_locked(VENV, "requirements-dev.lock")
    open(os.path.join(VENV, "dev-ready"), "w").close()


def install_package():
    create(PACKAGE, "once, some seconds")
    install_locked(PACKAGE, "infra/requirements-package.lock")
    open(os.path.join(PACKAGE, "ready"), "w").close()


def install_frontend():
    version = node_version()
    if version < NODE_NEEDED:
        found = "%d.%d" % version if version else "none"
        sys.exit(
            "The dashboard needs Node %d.%d or newer; this machine has %s. Install it from "
            "https://nodejs.org, or run without the dashboard: make run PAYFLOW_DASHBOARD=off"
            % (NODE_NEEDED + (found,))
        )
    print("Installing the dashboard's packages (once, about half a minute)")
    npm = ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"]
    if subprocess.call(npm, cwd=FRONTEND) != 0:
        sys.exit("Could not install the packages; npm's output is above.")
    open(FRONTEND_READY, "w").close()


def node_version():
    """Major and minor version; empty if Node or npm is missing."""
    try:
        subprocess.check_output(["npm", "--version"], stderr=subprocess.DEVNULL)
        said = subprocess.check_output(["node", "--version"], text=True)
    except (OSError, subprocess.CalledProcessError):
        return ()
    return tuple(int(part) for part in said.strip().lstrip("v").split(".")[:2])


def install_locked(folder, lock):
    """Show one line that counts packages; show pip's whole output only if it fails."""
    wheels_only = "--only-binary=:all:"  # so that no code of a package runs
    python = os.path.join(folder, "bin", "python")
    command = [python, "-m", "pip", "install", wheels_only, "--require-hashes", "-r", lock]
    output = []
    packages = 0
    pip = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in pip.stdout:
        output.append(line)
        if line.startswith(("Collecting ", "Processing ")):  # from an index, or a local folder
            packages += 1
            name = re.split("==|-[0-9]", os.path.basename(line.split()[1]))[0]
            show("  %3d  %s" % (packages, name))
        elif line.startswith("Installing "):
            show("  installing %d packages" % packages)
    if pip.wait() != 0:
        sys.exit("".join(output) + "\nCould not install the packages; pip's output is above.")
    show("  done: %d packages\n" % packages)


def show(text):
    if sys.stdout.isatty():
        sys.stdout.write("\r\033[K" + text)
    elif not text.startswith("  "):
        return
    else:
        sys.stdout.write(text.rstrip("\n") + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except KeyboardInterrupt:
        sys.exit("\nStopped. The next `make` starts the set-up again.")
