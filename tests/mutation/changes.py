"""The possible replacements of a syntax node."""

import ast
from collections.abc import Iterator

_SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Add,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.Continue: ast.Break,
    ast.Break: ast.Continue,
}
# Methods and functions. Our own names with the same spelling are changed too; tests notice at once.
_NAMES = {
    "startswith": "endswith",
    "partition": "rpartition",
    "removeprefix": "removesuffix",
    "lower": "upper",
    "find": "rfind",
    "strip": "lstrip",
    "lstrip": "rstrip",
    "match": "search",
    "fullmatch": "match",
    "any": "all",
    "min": "max",
    "isdigit": "isalpha",
    "isascii": "isalpha",
}
_OTHER_NAMES = {**{new: old for old, new in _NAMES.items()}, **_NAMES}


def others(node: ast.AST) -> Iterator[ast.AST]:
    """Yields the possible replacements of a node."""
    if type(node) in _SWAPS:
        yield _SWAPS[type(node)]()
    yield from (_other_statements if isinstance(node, ast.stmt) else _other_parts)(node)


def _other_statements(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        # A comparison or a `not` has its own mutation with the same effect.
        case ast.If(test=test) | ast.While(test=test) if not _has_own_change(test):
            yield _with(node, test=ast.UnaryOp(ast.Not(), test))
        case ast.Return(value=ast.expr() as value) if not _is_none(value):
            yield ast.Return(ast.Constant(None))
        case ast.Expr(value=ast.Call() | ast.Await()) | ast.Raise() | ast.AugAssign():
            yield ast.Pass()


def _other_parts(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Constant():
            yield from _other_constants(node.value)
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand
        case ast.IfExp(test=test) if not _has_own_change(test):
            yield _with(node, test=ast.UnaryOp(ast.Not(), test))
        case ast.Attribute(attr=name) | ast.Name(id=name) if name in _OTHER_NAMES:
            field = "attr" if isinstance(node, ast.Attribute) else "id"
            yield _with(node, **{field: _OTHER_NAMES[name]})
        case ast.Set(elts=elements) | ast.Tuple(elts=elements) | ast.List(elts=elements):
            if len(elements) > 1 and all(isinstance(one, ast.Constant) for one in elements):
                for index in range(len(elements)):
                    yield _with(node, elts=elements[:index] + elements[index + 1 :])


def _has_own_change(test: ast.expr) -> bool:
    return isinstance(test, ast.Compare | ast.UnaryOp)


def _other_constants(value: object) -> Iterator[ast.AST]:
    match value:
        case bool():
            yield ast.Constant(not value)
        case int() | float():
            yield ast.Constant(value + 1)
        # A string with a space is text for people. Tests should not fix its wording.
        case str() if " " not in value:
            yield ast.Constant("XX" + value)
        case bytes():
            yield ast.Constant(b"XX" + value)


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def _with(node: ast.AST, **fields: object) -> ast.AST:
    made = {name: getattr(node, name) for name in node._fields}
    return type(node)(**{**made, **fields})
