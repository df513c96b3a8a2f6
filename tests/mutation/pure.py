"""The pure code: the modules that the import contract "Pure" names, and the tests of each.

Run as a script, it prints them for `coverage report --include`.
"""

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def pure_modules() -> tuple[str, ...]:
    """The files in `ovh_proxy/`, such as `policy/headers.py`, in the order of the contract."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    (contract,) = (one for one in contracts if one["name"].startswith("Pure"))
    return tuple(file for name in contract["source_modules"] for file in _files_of(name))


def tests_of(module: str) -> tuple[str, ...]:
    """The test files of one module, from the root of the project: none may exist."""
    folder, _, name = module.removesuffix(".py").rpartition("/")
    found = (ROOT / "tests" / folder).glob(f"test_{name}*.py")
    return tuple(sorted(str(one.relative_to(ROOT)) for one in found))


def _files_of(name: str) -> list[str]:
    package = ROOT / "ovh_proxy"
    path = package.joinpath(*name.split(".")[1:])
    if not path.is_dir():
        return [f"{path.relative_to(package)}.py"]
    return sorted(str(one.relative_to(package)) for one in path.glob("[a-z]*.py"))


if __name__ == "__main__":
    sys.stdout.write(",".join(f"*/ovh_proxy/{one}" for one in pure_modules()) + "\n")
