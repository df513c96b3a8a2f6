"""Mutants that no test can notice, each with its reason."""

from pathlib import Path

import yaml

FILE = Path(__file__).with_name("explained.yaml")
# Versions of Python write these in different places.
_LEFT_OUT = str.maketrans("", "", "\"'()\\ ")


def key(name: str) -> str:
    """The name of a mutant, the same for every version of Python."""
    return name.translate(_LEFT_OUT)


def read_explained() -> dict[str, str]:
    """Reasons by the key of the mutant."""
    found: dict[str, list[str]] = yaml.safe_load(FILE.read_text("utf-8")) or {}
    return {key(name): reason for reason, names in found.items() for name in names}
