"""One writer an output folder."""

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from florence_annotate.errors import LockedError, OutputError
from florence_annotate.journal import lock


def test_a_second_writer_is_refused_and_told_who_holds_the_folder(tmp_path: Path) -> None:
    hold = (
        "import sys, pathlib; from florence_annotate.journal import lock\n"
        f"with lock.held(pathlib.Path({str(tmp_path)!r})):\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    seen = lock.holder_of(tmp_path)
    assert seen is not None and (seen.pid, seen.holds) == (holder.pid, True)
    with pytest.raises(LockedError, match=f"process {holder.pid} on "), lock.held(tmp_path):
        pass
    holder.kill()
    holder.communicate()
    seen = lock.holder_of(tmp_path)
    assert seen is not None and (seen.pid, seen.holds) == (holder.pid, False)
    with lock.held(tmp_path):  # the system let go of it
        pass
    assert not (tmp_path / "job.lock").exists()


def test_a_lock_goes_with_its_holder_and_leaves_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    (folder / "sub").mkdir(parents=True)
    with lock.held(folder):
        assert (folder / lock.FILE_NAME).exists()
        with pytest.raises(LockedError), lock.held(folder):
            pass
    assert [path.name for path in folder.iterdir()] == ["sub"]
    with pytest.raises(KeyError), lock.held(folder):
        raise KeyError
    with lock.held(folder):
        pass


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"pid": 3}', '{"pid": 3, "host": 4, "since": 5}']
)
def test_a_lock_file_that_names_nobody_is_no_error(tmp_path: Path, content: str) -> None:
    (tmp_path / lock.FILE_NAME).write_text(content)
    assert lock.holder_of(tmp_path) is None
    assert lock.holder_of(tmp_path / "nowhere") is None


def test_the_lock_file_of_an_older_version_has_no_time(tmp_path: Path) -> None:
    (tmp_path / lock.FILE_NAME).write_text('{"pid": 3, "host": "a"}')
    assert str(lock.holder_of(tmp_path)) == "process 3 on a"


def test_who_only_looks_keeps_nobody_out(tmp_path: Path) -> None:
    look = (
        "import sys, pathlib; from florence_annotate.journal import lock\n"
        "print(flush=True)\n"
        f"while True: lock.holder_of(pathlib.Path({str(tmp_path)!r}))\n"
    )
    (tmp_path / lock.FILE_NAME).write_text('{"pid": 3, "host": "a"}')
    looking = subprocess.Popen([sys.executable, "-c", look], stdout=subprocess.PIPE)
    try:
        assert looking.stdout is not None
        looking.stdout.readline()
        for _ in range(100):
            with lock.held(tmp_path):
                pass
            (tmp_path / lock.FILE_NAME).write_text('{"pid": 3, "host": "a"}')
    finally:
        looking.kill()
        looking.communicate()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"), lock.held(tmp_path / "file"):
        pass


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_link_in_the_place_of_the_lock_is_not_followed(
    link: Callable[[Path, Path], None], tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("of somebody")
    (tmp_path / "out").mkdir()
    link(victim, tmp_path / "out" / lock.FILE_NAME)
    with pytest.raises(OutputError, match=r"job\.lock: it "), lock.held(tmp_path / "out"):
        pass
    assert victim.read_text() == "of somebody"


def test_a_link_to_nowhere_in_the_place_of_the_lock_makes_no_file(tmp_path: Path) -> None:
    (tmp_path / lock.FILE_NAME).symlink_to(tmp_path / "new")
    with pytest.raises(OutputError, match="it is a link"), lock.held(tmp_path):
        pass
    assert not (tmp_path / "new").exists()


def test_what_is_no_file_in_the_place_of_the_lock_is_named(tmp_path: Path) -> None:
    (tmp_path / "a" / lock.FILE_NAME).mkdir(parents=True)
    with pytest.raises(OutputError, match=r"job\.lock: Is a directory"), lock.held(tmp_path / "a"):
        pass
    (tmp_path / "b").mkdir()
    os.mkfifo(tmp_path / "b" / lock.FILE_NAME)
    with pytest.raises(OutputError, match=r"job\.lock: it is a fifo"), lock.held(tmp_path / "b"):
        pass


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP, errno.EINVAL])
def test_a_file_system_without_locks_is_told_from_another_writer(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.raises(OutputError, match=r"file system without locks .*: choose an output on"),
        lock.held(tmp_path / "new" / "out"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_holder_that_is_written_in_nonsense_is_another_process(tmp_path: Path) -> None:
    for nonsense in ("[" * 4000, "[1]", "{}", ""):
        with lock.held(tmp_path):
            (tmp_path / lock.FILE_NAME).write_text(nonsense)
            with pytest.raises(LockedError, match="by another process"), lock.held(tmp_path):
                pass
