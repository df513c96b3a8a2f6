import os
import re
import threading

import pytest

from ovh_proxy.config.files import Unreadable, read_text


def test_a_byte_order_mark_is_dropped(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"\xef\xbb\xbfaccents \xc3\xa9\n")

    assert read_text(str(path)) == "accents é\n"


def test_links_are_followed_as_kubernetes_makes_them(tmp_path):
    (tmp_path / "..2024").mkdir()
    (tmp_path / "..2024" / "f").write_text("x")
    (tmp_path / "..data").symlink_to("..2024")
    (tmp_path / "f").symlink_to("..data/f")

    assert read_text(str(tmp_path / "f")) == "x"


def test_a_pipe_is_read_to_its_end_even_if_it_is_written_late():
    reader, writer = os.pipe()
    late = threading.Timer(0.05, lambda: (os.write(writer, b"late"), os.close(writer)))
    late.start()

    text = read_text(f"/dev/fd/{reader}", private=True)

    late.join()
    os.close(reader)
    assert text == "late"


def test_a_named_pipe_without_a_writer_is_empty(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    assert read_text(str(tmp_path / "pipe")) == ""


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(lambda path: None, "does not exist; ", id="nothing there"),
        pytest.param(
            lambda path: path.symlink_to("nowhere"), "does not exist; ", id="dangling link"
        ),
        pytest.param(
            lambda path: path.symlink_to(path), "is a symbolic link to itself", id="a loop"
        ),
        pytest.param(lambda path: path.mkdir(), "is a directory; name a file", id="a directory"),
        pytest.param(
            lambda path: path.write_bytes(b"a\nb\xff\n"),
            "is not UTF-8 text (line 2)",
            id="not UTF-8",
        ),
        pytest.param(
            lambda path: path.write_bytes("a".encode("utf-16")), "is not UTF-8", id="UTF-16"
        ),
        pytest.param(
            lambda path: path.write_bytes(b"x" * 101), "is larger than 100", id="too large"
        ),
    ],
)
def test_the_problem_of_an_unreadable_file_says_why(tmp_path, make, reason):
    path = tmp_path / "f"
    make(path)

    with pytest.raises(Unreadable, match=re.escape(reason)) as caught:
        read_text(str(path), limit=100)

    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        pytest.param("a\0b", "is not a valid path", id="a null byte"),
        pytest.param("x" * 5000, "a name that is too long", id="a long name"),
        pytest.param(
            "/dev/null/x", "a part of the path is not a directory", id="a file as directory"
        ),
        pytest.param(
            "/proc/self/mem", "cannot be read; check the path", id="an error of the system"
        ),
    ],
)
def test_the_problem_of_an_unusable_path_says_why(name, reason):
    with pytest.raises(Unreadable, match=reason):
        read_text(name)


def test_a_file_of_the_maximum_size_is_read(tmp_path):
    (tmp_path / "f").write_bytes(b"x" * 100)

    assert read_text(str(tmp_path / "f"), limit=100) == "x" * 100


def test_a_private_file_that_others_may_read_is_rejected(tmp_path):
    (tmp_path / "f").write_text("x")
    (tmp_path / "f").chmod(0o644)

    with pytest.raises(Unreadable, match="chmod 600"):
        read_text(str(tmp_path / "f"), private=True)
