"""A mutant: one promise, and the edit that breaks it. Pure."""

import ast
from dataclasses import dataclass

_Scope = ast.Module | ast.ClassDef | ast.FunctionDef


class Stale(Exception):
    """The code has moved on: the edit no longer fits, or no longer changes anything."""


@dataclass(frozen=True)
class Mutant:
    """A promise in one sentence, and where one edit breaks it.

    `old` and `new` are code as `ast.unparse` writes it: single quotes, one line a statement, no
    comments. So a change of the layout or of a neighbour leaves the edit as it is.
    """

    promise: str
    where: str
    """A file and a function, method or constant in it: `path/file.py::Class.method`."""
    old: str
    new: str

    @property
    def file(self) -> str:
        return self.where.partition("::")[0]

    @property
    def symbol(self) -> str:
        return self.where.partition("::")[2]

    def mutated(self, source: str) -> ast.Module:
        """The program without the promise. Raises Stale unless the edit fits exactly once."""
        module = ast.parse(source)
        scope, position = self._found(module)
        definition = scope.body[position]
        text = ast.unparse(definition)
        if (count := text.count(self.old)) != 1:
            raise Stale(f"{self.where}: the old text stands {count} times in\n{text}")
        try:
            (broken,) = ast.parse(text.replace(self.old, self.new)).body
        except (SyntaxError, ValueError) as error:
            raise Stale(f"{self.where}: {self.symbol} is no program any more: {error}") from error
        if ast.dump(broken) == ast.dump(definition):
            raise Stale(f"{self.where}: {self.symbol} does what it did before")
        scope.body[position] = broken
        return module

    def _found(self, module: ast.Module) -> tuple[_Scope, int]:
        """The body that the symbol stands in, and its place there."""
        *outer, last = self.symbol.split(".")
        scope: _Scope = module
        for name in outer:
            inner = scope.body[self._place(scope, name)]
            if not isinstance(inner, ast.ClassDef | ast.FunctionDef):
                raise Stale(f"{self.where}: {name} of {self.symbol} has nothing inside")
            scope = inner
        return scope, self._place(scope, last)

    def _place(self, scope: _Scope, name: str) -> int:
        places = [at for at, statement in enumerate(scope.body) if name in _names(statement)]
        if len(places) != 1:
            raise Stale(f"{self.where}: {self.file} has {len(places)} definitions of {self.symbol}")
        return places[0]


def _names(statement: ast.stmt) -> list[str]:
    """What a statement defines."""
    match statement:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case ast.Assign(targets=targets):
            return [target.id for target in targets if isinstance(target, ast.Name)]
    return []
