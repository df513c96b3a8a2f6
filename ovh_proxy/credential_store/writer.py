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
from ovh_proxy.config.secret_references import (
    Reference,
    ResolveContext,
    file_path,
    shown_path,
    shown_variable,
)
from ovh_proxy.config.sources import Sources
from ovh_proxy.config.yaml_reader import parse_yaml
from ovh_proxy.core.errors import CommandFailed, ConfigurationError, Problem
from ovh_proxy.core.redaction import NAME_HIDDEN, is_plain
from ovh_proxy.core.secret import Secret
from ovh_proxy.credential_store.yaml_edit import Written, put_field, put_profile, remove_field


@dataclass(frozen=True, slots=True)
class StoreContents:
    """The parsed text of a store.

    Attributes:
        tree: None for an empty text.
        problems: all problems except those of references, which are not resolved.
    """

    tree: Node | None
    problems: tuple[Problem, ...]
    context: ParseContext

    def has(self, name: str, field: str | None = None) -> bool:
        """Whether a profile, or a field of it, exists."""
        match self.tree:
            case Entries(entries={"profiles": Entries(entries=profiles)}) if name in profiles:
                profile = profiles[name]
                return field is None or (isinstance(profile, Entries) and field in profile.entries)
        return False

    def check(self) -> None:
        """Checks that other commands can read the store.

        Raises:
            ConfigurationError: all problems.
        """
        if self.problems:
            raise ConfigurationError(self.problems)


def read_store_contents(text: str, path: Path) -> StoreContents:
    """The contents of a text; resolves no references."""
    source = str(path)
    tree, problems = parse_yaml(text, source)
    context = ParseContext(source, path.parent, profiles=profile_names(tree))
    if tree is not None:
        parse_store(tree, context, ())
    return StoreContents(tree, (*problems, *context.problems), context)


def stored_consumer_key(text: str, path: Path, name: str) -> Reference | None:
    """The reference to a profile's consumer key; None if it is in the store itself, or missing.

    Raises:
        CommandFailed: there is no such profile.
        ConfigurationError: the store is invalid.
    """
    contents = read_store_contents(text, path)
    contents.check()
    if not contents.has(name):
        raise CommandFailed(f"{path} no longer has a profile {name!r}; log in again")
    return contents.context.references.get(("profiles", name, "consumer_key"))


Value = str | Secret | Reference | tuple[str, ...]
Profiles = Mapping[str, Mapping[str, Value]]
_FIELD = "consumer_key"
KEYRING = "the system's keyring"


class StoreWriter:
    """Changes a store; each method is one atomic change.

    Args:
        path: as named by the user; of a symbolic link, the target is replaced.
        step: called with the name of each finished step.
        wait_s: how long to wait for another writer.
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
            CommandFailed: a profile exists and `replaces` is false, or the store is not writable.
            ConfigurationError: the store is invalid, or would be.
        """
        with self._writing():
            text = self._read()
            if not replaces:
                existing = [*filter(read_store_contents(text, self._named).has, profiles)]
                if existing:
                    names = ", ".join(existing)
                    raise CommandFailed(f"already in {self._named}: {names}; choose another name")
            for name, fields in profiles.items():
                text = put_profile(text, name, {key: _written(v) for key, v in fields.items()})
            self._replace(text)

    def put_consumer_key(self, name: str, key: Secret, into: Reference | None = None) -> str:
        """Stores the consumer key of a profile where its last one was; returns where.

        Args:
            into: an entry of the keyring, to store the key there instead.

        Raises:
            CommandFailed: it cannot be written there, or the store is not writable.
            ConfigurationError: the store is invalid, or would be.
        """
        with self._writing():
            text = self._read()
            reference = into or stored_consumer_key(text, self._named, name)
            require_writable(name, reference)
            if reference is not None and reference.kind == "file":
                return self._replace_key_file(reference, key)
            if reference is not None:
                keyring.write_entry(reference.arguments[0], reference.arguments[1], key)
            if reference is None or into is not None:
                value = _written(into or key)
                self._replace(put_field(text, name, _FIELD, value, "application_secret"))
            return str(self._named) if reference is None else KEYRING

    def forget(self, name: str) -> str:
        """Removes a profile's consumer key; returns where it was.

        Raises:
            CommandFailed: it is where we cannot write, or the store is not writable.
            ConfigurationError: the store is invalid, or would be.
        """
        with self._writing():
            text = self._read()
            reference = stored_consumer_key(text, self._named, name)
            require_writable(name, reference)
            if not read_store_contents(text, self._named).has(name, _FIELD):
                return str(self._named)
            self._replace(remove_field(text, name, _FIELD))
            if reference is None:
                return str(self._named)
            if reference.kind == "keyring":
                keyring.delete_entry(reference.arguments[0], reference.arguments[1])
                return KEYRING
            key_file = self._key_file(reference)
            shown = shown_path(str(key_file))
            key_file.unlink(missing_ok=True)
            return shown

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            make_directory(self._target.parent)
            with locked(self._target, self._wait_s):
                self._step("locked")
                yield
        except OSError as failure:
            reason = (failure.strerror or "I/O error").lower()
            path = shown_path(str(failure.filename or self._named))
            raise CommandFailed(
                f"cannot write {path}: {reason}; name a writable store "
                "with --credentials, or run as its owner"
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

    def _replace_key_file(self, reference: Reference, key: Secret) -> str:
        path = self._key_file(reference)
        make_directory(path.parent)
        shown = shown_path(str(path))
        replace_file(path, f"{key.reveal()}\n".encode(), self._step)
        return shown

    def _key_file(self, reference: Reference) -> Path:
        context = ResolveContext(
            self._sources.environ, self._sources.home, self._named.absolute().parent
        )
        return Path(os.path.realpath(file_path(reference.arguments[0], context)))


def require_writable(name: str, reference: Reference | None) -> None:
    """Checks that a consumer key can be written where it is.

    Raises:
        CommandFailed: it is in the environment, or printed by a command.
    """
    if reference is not None and reference.kind in ("env", "command"):
        named = reference.arguments[0]
        if reference.kind == "env":
            place = f"environment variable {shown_variable(named)}"
        else:
            place = f"command {named if is_plain(named) else NAME_HIDDEN}"
        raise CommandFailed(
            f"the consumer key of profile {name} comes from the {place}, which "
            " ovh-proxy cannot write; store it there yourself with --print, or remove "
            "consumer_key from the store"
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
