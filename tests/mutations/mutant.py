"""A mutant: one safety rule, and the edit that breaks it. Pure."""

import ast
from dataclasses import dataclass


class Stale(Exception):
    """The code has moved on: the edit no longer fits, or no longer changes anything."""


@dataclass(frozen=True)
class Mutant:
    """The rule as a sentence, and the code without it."""

    name: str
    rule: str
    file: str
    """Its path in the project."""
    old: str
    new: str
    near: tuple[str, ...]
    """Tests that are asked first, by the names of their modules; the rest of the suites follow."""

    def mutated(self, source: str) -> str:
        """`source` with the rule broken. Raises Stale unless `old` stands in it exactly once, and
        what comes of it is a program, and another one.
        """
        found = source.count(self.old)
        if found != 1:
            raise Stale(f"{self.name}: its old text stands {found} times in {self.file}")
        mutated = source.replace(self.old, self.new)
        try:
            same = ast.dump(ast.parse(mutated)) == ast.dump(ast.parse(source))
        except SyntaxError as error:
            raise Stale(f"{self.name}: {self.file} is no program any more: {error}") from error
        if same:
            raise Stale(f"{self.name}: {self.file} does what it did before")
        return mutated
