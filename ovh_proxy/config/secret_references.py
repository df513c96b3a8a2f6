"""Secrets that a file only points at: environment, file, command, keyring."""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import Final

from ovh_proxy.config.files import Unreadable, read_text
from ovh_proxy.config.keyring import Lookup, look_up, read_entry
from ovh_proxy.core.redaction import NAME_HIDDEN, is_plain
from ovh_proxy.core.secret import Secret

# A key has 16 to 32 characters, a signed token a few thousand.
MAX_BYTES: Final = 65_536
_CONVENTIONAL = re.compile(r"[A-Z_][A-Z0-9_]*")
_LIKE_A_KEY = re.compile(r"(?=[A-Z]*[0-9])[A-Z0-9]{12}")
# What a template or a shell was to replace: ${NAME}, $NAME, {{ name }}, <the key>.
_PLACEHOLDER = re.compile(r"\$\{.*\}|\$[A-Za-z_]\w*|\{\{.*\}\}|<.*>", re.DOTALL)
_ASSIGNMENT = re.compile(r"(export\s+)?[A-Z_][A-Z0-9_]{2,}=[^=].*", re.DOTALL)
# No key of OVHcloud has one of these: what one that does has been made of.
_NOT_IN_KEYS = {
    '"': "a quote; remove the quotes",
    "'": "a quote; remove the quotes",
    "=": "'='; write only the key, without a name in front",
    "$": "'$', as a variable that was not replaced; write the key itself",
    "<": "'<', as a placeholder; write the key itself",
}


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a secret is: the kind of place, and a name, a path or arguments."""

    kind: str
    arguments: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ResolveContext:
    """The context that references are resolved in.

    Attributes:
        directory: base of relative file names, and working directory of commands.
        command_limit_s: timeout of commands and of the keyring.
        lookup: finds an entry of the keyring.
    """

    environ: Mapping[str, str] = field(repr=False)
    home: FilePath
    directory: FilePath
    allow_loose_permissions: bool = False
    command_limit_s: float = 10.0
    lookup: Lookup = look_up


@dataclass(frozen=True, slots=True)
class Unresolved:
    """Why a reference has no secret, and what to do."""

    reason: str


def file_path(name: str, context: ResolveContext) -> str:
    """The absolute path of a file name in the store; `~/` is the home directory."""
    if name.startswith("~/"):
        return os.path.join(context.home, name[2:])
    return os.path.abspath(os.path.join(context.directory, name))


def shown_path(path: str) -> str:
    """The path of a referenced file as messages show it.

    A key that was written in place of the path is not shown. A file that exists is no such key, and
    neither are the directories above it.
    """
    parent = os.path.dirname(path)
    while parent != os.path.dirname(parent) and not os.path.isdir(parent):
        parent = os.path.dirname(parent)
    is_known = os.path.lexists(path) or is_plain(path.removeprefix(parent))
    return path if is_known else os.path.join(parent, NAME_HIDDEN)


def resolve(reference: Reference, context: ResolveContext) -> Secret:
    """The secret that a reference points at.

    Raises:
        ValueError: there is none, or it is malformed; the text says what to do.
    """
    return parse_secret(_KINDS[reference.kind](reference.arguments, context))


def resolve_all(wanted: Sequence[tuple[Reference, ResolveContext]]) -> list[Secret | Unresolved]:
    """The secrets, resolved concurrently so that slow commands do not add up."""
    if not wanted:
        return []
    # Imported here: `healthcheck` and `wait` read the settings and resolve nothing.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=min(len(wanted), 64)) as pool:
        return list(pool.map(_attempt, *zip(*wanted, strict=True)))


def _attempt(reference: Reference, context: ResolveContext) -> Secret | Unresolved:
    try:
        return resolve(reference, context)
    except ValueError as failure:
        return Unresolved(str(failure))


def parse_secret(text: str) -> Secret:
    """A key or token as one word that an HTTP header can carry.

    Raises:
        ValueError: it is empty, a placeholder, or has a character that no key has; never shows it.
    """
    if not text:
        raise ValueError("empty secret; write the key there")
    if _PLACEHOLDER.fullmatch(text):
        raise ValueError("a placeholder instead of a secret; write the key itself")
    if without_quotes(text) != text:
        raise ValueError("secret in quotes; remove the quotes")
    if _ASSIGNMENT.fullmatch(text):
        raise ValueError("NAME=value instead of a secret; write only the value, without its name")
    if any(char.isspace() for char in text):
        raise ValueError("secret contains white space or a line break; copy it again, as one word")
    if not text.isascii() or not text.isprintable():
        raise ValueError("secret contains a character that no key has; copy it again")
    return Secret(text)


def parse_key(text: str) -> Secret:
    """A key of OVHcloud: a secret without quotes, `=`, `$` and `<`.

    Raises:
        ValueError: as `parse_secret`, or it has one of these.
    """
    key = parse_secret(text)
    for character, remedy in _NOT_IN_KEYS.items():
        if character in text:
            raise ValueError(f"secret contains {remedy}")
    return key


def without_quotes(text: str) -> str:
    """The text without the pair of quotes around it, which Compose and .env files leave there."""
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if is_quoted else text


def quotes_warning(name: str) -> str:
    """The warning about quotes that were taken off."""
    return f"{name}: the quotes around the value were removed; remove them there, too"


def quoted_variables(
    references: Iterable[Reference], environ: Mapping[str, str]
) -> tuple[str, ...]:
    """The warnings about variables whose values are in quotes."""
    names = [reference.arguments[0] for reference in references if reference.kind == "env"]
    return tuple(
        quotes_warning(f"environment variable {shown_variable(name)}")
        for name in dict.fromkeys(names)
        if without_quotes(text := environ.get(name, "")) != text
    )


def _without_newline(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")


def _from_environment(arguments: tuple[str, ...], context: ResolveContext) -> str:
    (name,) = arguments
    shown = shown_variable(name)
    if name not in context.environ:
        raise ValueError(f"environment variable {shown} is not set; export it")
    text = without_quotes(context.environ[name])
    if not text:
        raise ValueError(f"environment variable {shown} is empty; set it to the key")
    return text


def shown_variable(name: str) -> str:
    """The name of a referenced variable as messages show it."""
    # If the key was written in place of the variable's name, it must not be logged.
    is_name = _CONVENTIONAL.fullmatch(name) and not _LIKE_A_KEY.search(name)
    return name if is_name else NAME_HIDDEN


def _from_file(arguments: tuple[str, ...], context: ResolveContext) -> str:
    path = file_path(arguments[0], context)
    private = not context.allow_loose_permissions
    try:
        return _without_newline(read_text(path, MAX_BYTES, private))
    except Unreadable as failure:
        reason = str(failure)
    raise ValueError(f"{shown_path(path)} {reason}")


def _from_command(arguments: tuple[str, ...], context: ResolveContext) -> str:
    # Imported here: few stores have commands.
    from ovh_proxy.config.secret_command import read_output

    output = read_output(
        arguments,
        context.directory,
        context.environ,
        context.command_limit_s,
        MAX_BYTES,
    )
    return _without_newline(output)


def _from_keyring(arguments: tuple[str, ...], context: ResolveContext) -> str:
    if len(arguments) != 2:
        raise ValueError(
            f"keyring needs a service and a user, got {len(arguments)} values; write them as in "
            "{keyring: [ovh-proxy, personal]}"
        )
    return read_entry(*arguments, context.lookup, context.command_limit_s)


_KINDS: Final[Mapping[str, Callable[[tuple[str, ...], ResolveContext], str]]] = MappingProxyType(
    {
        "env": _from_environment,
        "file": _from_file,
        "command": _from_command,
        "keyring": _from_keyring,
    }
)
KINDS: Final = tuple(_KINDS)
