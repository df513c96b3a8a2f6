"""The mutants of a module: every single change that a test should detect."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from mutation.changes import others

# Parts that do not affect behavior: types, decorators, imports.
_SKIPPED_FIELDS = frozenset({"annotation", "returns", "decorator_list", "ctx", "type_params"})
_SKIPPED_NODES = (ast.Import, ast.ImportFrom)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One changed module.

    Attributes:
        name: `signature.py: BEFORE -> AFTER`, with the first line of the changed statement. It
            does not depend on the line number.
        line: the line in the original module.
        source: the source of the whole changed module.
    """

    name: str
    line: int
    source: str


def mutants(module: str, source: str) -> list[Mutant]:
    """All distinct mutants of a module, in source order."""
    tree = ast.parse(source)
    found: dict[str, Mutant] = {}
    for change in _changes(tree):
        found.setdefault(change.source, change)
    named: dict[str, int] = {}
    unique = []
    for one in found.values():
        number = named[one.name] = named.get(one.name, 0) + 1
        suffix = f" ({number})" if number > 1 else ""
        unique.append(Mutant(f"{module}: {one.name}{suffix}", one.line, one.source))
    return unique


def _changes(tree: ast.Module) -> Iterator[Mutant]:
    # Only the top-level statement that contains the change is unparsed again.
    texts = [ast.unparse(one) for one in tree.body]

    def text_with(position: int) -> str:
        changed = ast.unparse(ast.fix_missing_locations(tree.body[position]))
        return "\n".join([*texts[:position], changed, *texts[position + 1 :]])

    def visit(node: ast.AST, statement: ast.stmt | None, position: int) -> Iterator[Mutant]:
        for name, value in ast.iter_fields(node):
            if name in _SKIPPED_FIELDS:
                continue
            children = value if isinstance(value, list) else [value]
            for index, child in enumerate(children):
                if not isinstance(child, ast.AST) or _is_silent(child):
                    continue
                at = index if node is tree else position
                inside = child if isinstance(child, ast.stmt) else statement
                for other in others(child):
                    before = _first_line(inside)
                    _put(node, name, value, index, other)
                    changed = other if isinstance(child, ast.stmt) else inside
                    after, line = _first_line(changed), getattr(inside, "lineno", 0)
                    text = text_with(at)
                    _put(node, name, value, index, child)
                    yield Mutant(f"{before} -> {after}", line, text)
                yield from visit(child, inside, at)

    return visit(tree, None, 0)


def _put(node: ast.AST, name: str, value: object, index: int, child: ast.AST) -> None:
    if isinstance(value, list):
        value[index] = child
    else:
        setattr(node, name, child)


def _first_line(node: ast.AST | None) -> str:
    if node is None:
        return ""
    text = ast.unparse(ast.fix_missing_locations(node)).split("\n")
    return " ".join(text if len(text) < 3 and not hasattr(node, "body") else text[:1])


def _is_silent(node: ast.AST) -> bool:
    match node:
        case ast.Expr(value=ast.Constant()):  # a docstring
            return True
        case ast.Assign(targets=[ast.Name(id="__slots__")]):
            return True
        # A named number is a design choice. Adding one to it does not show a wrong behavior.
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=int() | float())):
            return name.isupper()
    return isinstance(node, _SKIPPED_NODES)
