import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "ovh_proxy"
PAGE = (ROOT / "docs/architecture.md").read_text("utf-8")
NAMED = sorted(
    set(re.findall(r"`([\w./]+\.(?:py|md|toml|yaml)|(?:config|tests|\w+)/[\w/]*)`", PAGE))
)
LAYERS = re.search(r"^```\n(cli .*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("name", NAMED)
def test_every_file_and_folder_that_it_names_exists(name):
    assert (PACKAGE / name).exists() or (ROOT / name).exists()


def test_every_package_is_in_its_layers_in_the_order_of_the_import_contract():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    (layers,) = (one["layers"] for one in contracts if one["type"] == "layers")
    assert LAYERS is not None
    drawn = [re.split(r" {2,}", line)[0] for line in LAYERS[1].splitlines()]

    assert drawn == layers
    packages = {one.parent.name for one in PACKAGE.glob("*/__init__.py")} | {"logs"}
    assert {name for row in drawn for name in row.split(" | ")} == packages


def test_every_package_is_on_it_with_one_of_its_files():
    packages = [one.parent.name for one in PACKAGE.glob("*/__init__.py")]

    missing = [name for name in packages if not any(f"{name}/" in one for one in NAMED)]

    assert missing == ["sandbox"]  # described as a whole
