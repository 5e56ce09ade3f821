"""Refuse to deploy a commit that `main` has moved on from.

GitHub lets a run be repeated for 30 days, and it would ship what was right then. GitHub's job sets
the environment that this reads.
"""

import json
import os
import sys

from infra.deploy.smoke import SmokeError, ask


class OldCommit(Exception):
    """The commit is not the head of `main`; the message names both."""


def main() -> None:
    env = os.environ
    where = f"{env['GITHUB_API_URL']}/repos/{env['GITHUB_REPOSITORY']}/git/ref/heads/main"
    try:
        check(where, env["GITHUB_SHA"], env["GITHUB_TOKEN"])
    except (OldCommit, SmokeError) as error:
        sys.exit(f"Not deployed. {error}")


def check(where: str, commit: str, token: str) -> None:
    """Raise OldCommit unless the branch that GitHub describes at `where` is at `commit`.

    Raises SmokeError if GitHub does not say.
    """
    answer = ask(where, headers={"Authorization": f"Bearer {token}"})
    if answer.status != 200:
        raise SmokeError(f"{where} answers {answer.status}.")
    head = json.loads(answer.body)["object"]["sha"]
    if head != commit:
        raise OldCommit(
            f"This run is of {commit}, and main is at {head}, which its own run deploys."
        )


if __name__ == "__main__":
    main()
