"""Make .venv and install what requirements-dev.lock knows, by its hashes; with `frontend`, install
the dashboard's packages instead. `make` calls this when it must.

Written so that an old Python can read it far enough to say that it is too old.
"""

import os
import subprocess
import sys

NEEDED = (3, 11)
READY = os.path.join(".venv", "ready")
NODE_NEEDED = (20, 19)
FRONTEND = "frontend"
FRONTEND_READY = os.path.join(FRONTEND, "node_modules", "ready")


def main():
    if sys.version_info < NEEDED:
        sys.exit(
            "PayFlow needs Python 3.11 or newer, and found %d.%d. Install one, or name it: "
            "make PYTHON=/path/to/python3.11 …" % sys.version_info[:2]
        )
    print("Setting up .venv with Python %d.%d (once, about a minute)" % sys.version_info[:2])
    run([sys.executable, "-m", "venv", "--clear", ".venv"])
    python = os.path.join(".venv", "bin", "python")
    pip = [python, "-m", "pip", "install", "--require-hashes", "-r", "requirements-dev.lock"]
    show_progress(pip)
    open(READY, "w").close()


def install_frontend():
    version = node_version()
    if version < NODE_NEEDED:
        found = "%d.%d" % version if version else "none"
        sys.exit(
            "The dashboard needs Node %d.%d or newer, and found %s. Install one from "
            "https://nodejs.org, or go without the dashboard: make run PAYFLOW_DASHBOARD=off"
            % (NODE_NEEDED + (found,))
        )
    print("Setting up the dashboard's packages (once, about half a minute)")
    npm = ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"]
    if subprocess.call(npm, cwd=FRONTEND) != 0:
        sys.exit("Could not install the packages; npm's words stand above.")
    open(FRONTEND_READY, "w").close()


def node_version():
    """Major and minor; nothing where there is no Node, or no npm beside it."""
    try:
        subprocess.check_output(["npm", "--version"], stderr=subprocess.DEVNULL)
        said = subprocess.check_output(["node", "--version"], text=True)
    except (OSError, subprocess.CalledProcessError):
        return ()
    return tuple(int(part) for part in said.strip().lstrip("v").split(".")[:2])


def run(command):
    if subprocess.call(command) != 0:
        sys.exit("Could not make .venv; what went wrong stands above.")


def show_progress(command):
    """One line that counts packages while pip works; everything pip said if it fails."""
    said = []
    packages = 0
    pip = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in pip.stdout:
        said.append(line)
        if line.startswith("Collecting "):
            packages += 1
            show("  %3d  %s" % (packages, line.split()[1].split("==")[0]))
        elif line.startswith("Installing "):
            show("  installing %d packages" % packages)
    if pip.wait() != 0:
        sys.exit("".join(said) + "\nCould not install the packages; pip's words stand above.")
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
        install_frontend() if sys.argv[1:] == ["frontend"] else main()
    except KeyboardInterrupt:
        sys.exit("\nStopped; the next make begins the set-up anew.")
