"""Changes the credential store: atomically, for its owner alone."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ovh_proxy.config import keyring
from ovh_proxy.config.documents import parse_store, profile_names
from ovh_proxy.config.files import (
    WAIT_S,
    Step,
    Unreadable,
    locked,
    make_directory,
    no_step,
    read_text,
    replace_file,
)
from ovh_proxy.config.nodes import Entries, Node, ParseContext
from ovh_proxy.config.secret_references import Reference, ResolveContext, file_path
from ovh_proxy.config.sources import Sources
from ovh_proxy.config.yaml_reader import parse_yaml
from ovh_proxy.core.errors import CommandFailed, ConfigurationError, Problem
from ovh_proxy.core.secret import Secret
from ovh_proxy.credential_store.yaml_edit import Written, put_field, put_profile, remove_field


@dataclass(frozen=True, slots=True)
class StoreContents:
    """A store's text, read by its own parser.

    Attributes:
        tree: None for an empty text.
        problems: all that is wrong with it but references that could not be resolved.
    """

    tree: Node | None
    problems: tuple[Problem, ...]
    reading: ParseContext

    def has(self, name: str, field: str | None = None) -> bool:
        """Whether a profile, or a field of it, is there."""
        match self.tree:
            case Entries(entries={"profiles": Entries(entries=profiles)}) if name in profiles:
                profile = profiles[name]
                return field is None or (isinstance(profile, Entries) and field in profile.entries)
        return False

    def check(self) -> None:
        """Lets a store pass that the other commands would take.

        Raises:
            ConfigurationError: every problem of it.
        """
        if self.problems:
            raise ConfigurationError(self.problems)


def read_store_contents(text: str, path: Path) -> StoreContents:
    """What a text has; nothing is resolved."""
    source = str(path)
    tree, problems = parse_yaml(text, source)
    reading = ParseContext(source, path.parent, profiles=profile_names(tree))
    if tree is not None:
        parse_store(tree, reading, ())
    return StoreContents(tree, (*problems, *reading.problems), reading)


def stored_consumer_key(text: str, path: Path, name: str) -> Reference | None:
    """Where a profile's consumer key is kept; None for the store itself, or where there is none.

    Raises:
        CommandFailed: there is no such profile.
        ConfigurationError: the store is none.
    """
    kept = read_store_contents(text, path)
    kept.check()
    if not kept.has(name):
        raise CommandFailed(f"{path} has no profile {name} any more")
    return kept.reading.references.get(("profiles", name, "consumer_key"))


Value = str | Secret | Reference | tuple[str, ...]

Profiles = Mapping[str, Mapping[str, Value]]

_FIELD = "consumer_key"

KEYRING = "the system's keyring"


class StoreWriter:
    """Changes one store; each method is one change, whole or not at all.

    Args:
        path: as it is named; where it is a symbolic link, what that leads to is replaced.
        step: told each step of a write.
        wait_s: how long another writer is waited for.
    """

    def __init__(
        self, path: Path, sources: Sources, step: Step = no_step, wait_s: float = WAIT_S
    ) -> None:
        self._named = path
        self._target = Path(os.path.realpath(path))
        self._sources = sources
        self._step = step
        self._wait_s = wait_s

    def put_profiles(self, profiles: Profiles, *, replaces: bool = False) -> None:
        """Adds profiles; the first of a new store is its default.

        Raises:
            CommandFailed: one is there and may not be replaced, or the store cannot be written.
            ConfigurationError: the store is none, or would be none.
        """
        with self._writing():
            text = self._read()
            there = (
                [] if replaces else [*filter(read_store_contents(text, self._named).has, profiles)]
            )
            if there:
                raise CommandFailed(f"already in {self._named}: {', '.join(there)}")
            for name, fields in profiles.items():
                text = put_profile(text, name, {key: _written(v) for key, v in fields.items()})
            self._replace(text)

    def put_consumer_key(self, name: str, key: Secret, into: Reference | None = None) -> str:
        """Gives a profile of application keys its consumer key, where it keeps it; says where.

        Args:
            into: an entry of the keyring, which takes the place of where it was kept.

        Raises:
            CommandFailed: it is kept where we cannot write, or the store cannot be written.
            ConfigurationError: the store is none, or would be none.
        """
        with self._writing():
            text = self._read()
            kept = into or stored_consumer_key(text, self._named, name)
            refuse_elsewhere(name, kept)
            if kept is not None and kept.kind == "file":
                return self._replace_key_file(kept, key)
            if kept is not None:
                keyring.write_entry(kept.arguments[0], kept.arguments[1], key)
            if kept is None or into is not None:
                value = _written(into or key)
                self._replace(put_field(text, name, _FIELD, value, "application_secret"))
            return str(self._named) if kept is None else KEYRING

    def forget(self, name: str) -> str:
        """Takes a profile's consumer key out of the store; says where it was.

        Raises:
            CommandFailed: it is kept where we cannot write, or the store cannot be written.
            ConfigurationError: the store is none, or would be none.
        """
        with self._writing():
            text = self._read()
            kept = stored_consumer_key(text, self._named, name)
            refuse_elsewhere(name, kept)
            if not read_store_contents(text, self._named).has(name, _FIELD):
                return str(self._named)
            self._replace(remove_field(text, name, _FIELD))
            if kept is None:
                return str(self._named)
            if kept.kind == "keyring":
                keyring.delete_entry(kept.arguments[0], kept.arguments[1])
                return KEYRING
            key_file = self._key_file(kept)
            key_file.unlink(missing_ok=True)
            return str(key_file)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            make_directory(self._target.parent)
            with locked(self._target, self._wait_s):
                self._step("locked")
                yield
        except OSError as failure:
            reason = (failure.strerror or "it failed").lower()
            raise CommandFailed(
                f"{failure.filename or self._named} cannot be written: {reason}; name a store of "
                "your own with --credentials, or run as its owner"
            ) from failure

    def _read(self) -> str:
        if not os.path.lexists(self._target):
            return ""
        try:
            return read_text(str(self._named), private=not self._sources.allow_loose_permissions)
        except Unreadable as failure:
            problem = Problem(str(self._named), 0, "", str(failure))
        raise ConfigurationError((problem,))

    def _replace(self, text: str) -> None:
        read_store_contents(text, self._named).check()
        self._step("checked")
        replace_file(self._target, text.encode(), self._step)

    def _replace_key_file(self, kept: Reference, key: Secret) -> str:
        path = self._key_file(kept)
        make_directory(path.parent)
        replace_file(path, f"{key.reveal()}\n".encode(), self._step)
        return str(path)

    def _key_file(self, kept: Reference) -> Path:
        context = ResolveContext(
            self._sources.environ, self._sources.home, self._named.absolute().parent
        )
        return Path(os.path.realpath(file_path(kept.arguments[0], context)))


def refuse_elsewhere(name: str, kept: Reference | None) -> None:
    """Lets pass what a key can be written to.

    Raises:
        CommandFailed: it is kept where only its owner can change it.
    """
    if kept is not None and kept.kind in ("env", "command"):
        where = (
            f"the environment variable {kept.arguments[0]}"
            if kept.kind == "env"
            else (f"a command ({kept.arguments[0]})")
        )
        raise CommandFailed(
            f"profile {name} keeps its consumer key in {where}, which ovh-proxy cannot write; "
            "use --print and keep the key there yourself, or take consumer_key out of the store"
        )


def _written(value: Value) -> Written:
    match value:
        case Secret():
            return value.reveal()
        case Reference(kind, arguments):
            is_list = kind in ("command", "keyring")
            return {kind: list(arguments) if is_list else arguments[0]}
        case _:
            return value
