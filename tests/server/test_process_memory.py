"""The memory limit, read from files like those of cgroups."""

from pathlib import Path

import pytest

from ovh_proxy.server.process import max_body_memory, memory_limit

MIB = 2**20


@pytest.mark.parametrize(
    ("workers", "limit", "expected"),
    [
        (1, None, None),
        (1, 128 * MIB, 32 * MIB),
        (1, 1024 * MIB, 480 * MIB),
        (4, 1024 * MIB, 96 * MIB),
        (1, 64 * MIB, 4 * MIB),
        (1, 32 * MIB, 2 * MIB),
    ],
)
def test_bodies_get_half_of_the_remaining_memory(workers, limit, expected):
    assert max_body_memory(workers, limit) == expected


@pytest.mark.parametrize(
    ("lines", "files", "expected"),
    [
        ("0::/a/b\n", {"a/b/memory.max": "100\n"}, 100),
        ("0::/a/b\n", {"a/b/memory.max": "max\n", "a/memory.max": "200\n"}, 200),
        ("0::/a/b\n", {"a/b/memory.max": "300\n", "a/memory.max": "200\n"}, 200),
        ("0::/\n", {"memory.max": "50\n"}, 50),
        ("0::/not/mounted\n", {"memory.max": "50\n"}, 50),
        ("3:cpu:/a\n4:memory,x:/a\n", {"memory/a/memory.limit_in_bytes": "70\n"}, 70),
        ("4:memory:/gone\n", {"memory/memory.limit_in_bytes": "70\n"}, 70),
    ],
    ids=["its own", "above it", "the smaller", "a root", "a container", "version 1", "its root"],
)
def test_the_smallest_limit_of_all_parent_groups_applies(tmp_path: Path, lines, files, expected):
    membership = tmp_path / "cgroup"
    membership.write_text(lines)
    for name, text in files.items():
        (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / name).write_text(text)

    limit = memory_limit(membership, tmp_path / "groups")

    assert limit == expected


@pytest.mark.parametrize("lines", [None, "0::/a\n", "2:cpu:/a\n"], ids=["none", "no limit", "cpu"])
def test_without_a_cgroup_the_memory_of_the_machine_applies(tmp_path: Path, lines):
    membership = tmp_path / "cgroup"
    if lines is not None:
        membership.write_text(lines)

    limit = memory_limit(membership, tmp_path / "groups")

    assert limit is None or limit > 64 * MIB
