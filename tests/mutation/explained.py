"""Equivalent mutants, which no test can detect, each with its reason."""

from pathlib import Path

import yaml

FILE = Path(__file__).with_name("explained.yaml")
# Characters that differ between Python versions.
_IGNORED = str.maketrans("", "", "\"'()\\ ")


def key(name: str) -> str:
    """The name of a mutant, identical for every Python version."""
    return name.translate(_IGNORED)


def read_explained() -> dict[str, str]:
    """The reasons by the key of the mutant."""
    found: dict[str, list[str]] = yaml.safe_load(FILE.read_text("utf-8")) or {}
    return {key(name): reason for reason, names in found.items() for name in names}
