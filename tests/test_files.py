import errno

import pytest

from cycseq.errors import FileError
from cycseq.io.files import atomic_write, check_output, lock_folder, require_file, write_text


def test_written_whole(tmp_path):
    write_text(tmp_path / "new" / "a.txt", "text")
    assert (tmp_path / "new" / "a.txt").read_text() == "text"
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.txt"]


def test_an_existing_output_is_refused_and_kept(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "first")
    with pytest.raises(FileError, match=r"exists already.*--overwrite"):
        write_text(path, "second")
    assert path.read_text() == "first"
    write_text(path, "second", overwrite=True)
    assert path.read_text() == "second"


def _write_half_and_fail(path, error):
    with atomic_write(path, overwrite=True) as part:
        part.write_text("half")
        raise error


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError):
        _write_half_and_fail(path, RuntimeError("interrupted"))
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_full_disk_is_said_and_nothing_is_left(tmp_path):
    with pytest.raises(FileError, match="disk is full"):
        _write_half_and_fail(tmp_path / "a.txt", OSError(errno.ENOSPC, "No space left on device"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_takes_the_place_of_a_folder(tmp_path):
    folder = tmp_path / "store.zarr"
    for content in ("old", "new"):
        with atomic_write(folder, overwrite=True) as part:
            part.mkdir()
            (part / "zarr.json").write_text(content)
    assert (folder / "zarr.json").read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["store.zarr"]


def test_a_folder_of_something_else_is_not_replaced(tmp_path):
    write_text(tmp_path / "runs" / "nk" / "run.json", "{}")
    with pytest.raises(FileError, match="did not write"), atomic_write(tmp_path / "runs", overwrite=True):
        pass
    assert (tmp_path / "runs" / "nk" / "run.json").exists()


def test_a_file_in_the_way_of_a_folder(tmp_path):
    write_text(tmp_path / "a", "file")
    with pytest.raises(FileError, match="is a file, not a folder"):
        check_output(tmp_path / "a" / "b.txt")


def test_what_a_killed_process_left_goes_and_what_a_living_one_makes_stays(tmp_path):
    dead = tmp_path / ".a.txt.0123abc_.part"
    dead.mkdir()
    (dead / "piece0.h5ad").write_text("half")
    moved = tmp_path / ".store.zarr.0123abc_.part"
    (moved / "replaced").mkdir(parents=True)
    (moved / "replaced" / "zarr.json").write_text("old")
    other = tmp_path / ".download.part"
    other.mkdir()
    with atomic_write(tmp_path / "a.txt") as living:
        living.write_text("whole")
        assert not dead.exists()
        write_text(tmp_path / "b.txt", "beside")
        assert living.exists()
    assert (tmp_path / "store.zarr" / "zarr.json").read_text() == "old"  # it was killed between two renamings
    assert sorted(p.name for p in tmp_path.iterdir()) == [other.name, "a.txt", "b.txt", "store.zarr"]


def test_what_another_process_wrote_meanwhile_is_not_replaced(tmp_path):
    def write():
        with atomic_write(tmp_path / "a.txt") as part:
            part.write_text("mine")
            write_text(tmp_path / "a.txt", "another's")

    with pytest.raises(FileError, match="exists already"):
        write()
    assert (tmp_path / "a.txt").read_text() == "another's"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_is_one_process_alone(tmp_path):
    with (
        lock_folder(tmp_path / "run"),
        pytest.raises(FileError, match="another cycseq process is working in"),
        lock_folder(tmp_path / "run"),
    ):
        pass
    with lock_folder(tmp_path / "run"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_names_those_beside_it(tmp_path):
    write_text(tmp_path / "right.h5ad", "")
    with pytest.raises(FileError, match=r"right\.h5ad"):
        require_file(tmp_path / "wrong.h5ad")
