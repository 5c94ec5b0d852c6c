"""Unpacking of archives: malicious ones leave nothing outside their folder, and nothing at all where refused."""

import io
import tarfile
import zipfile

import pytest

from cgbench.datasets.download import archives
from cgbench.datasets.download.archives import ArchiveRefused, unpack
from helpers.archives import GOOD, good_members, zip_archive

EVIL_NAMES = ["/etc/x.png", "../x.png", "tiny/../../x.png", "C:/x.png", "a\\b.png", "a\x1b[2J.png", "x" * 300, "\\x"]


@pytest.mark.parametrize("name", EVIL_NAMES)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_names_cannot_leave_the_folder(tmp_path, name, kind):
    path = tmp_path / "evil"
    if kind == "zip":
        path.write_bytes(zip_archive({"tiny/a.png": b"first", name: b"evil"}))
    else:
        tar(path, [("tiny/a.png", b"first", {}), (name, b"evil", {})])
    with pytest.raises(ArchiveRefused, match="nothing was unpacked"):
        unpack(path, tmp_path / "out" / "deep", print)
    assert sorted(entry.name for entry in tmp_path.rglob("*")) == ["evil", "out"]


def tar(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for name, data, more in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            for key, value in more.items():
                setattr(entry, key, value)
            archive.addfile(entry, io.BytesIO(data))


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE],
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    tar(tmp_path / "evil", [("tiny/a.png", b"a", {}), ("tiny/b", b"", {"type": kind, "linkname": "/etc/passwd"})])
    with pytest.raises(ArchiveRefused):
        unpack(tmp_path / "evil", tmp_path / "out", print)
    assert not (tmp_path / "out").exists()


def test_links_and_encryption_in_a_zip_are_refused(tmp_path):
    link = zipfile.ZipInfo("tiny/link.png")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "evil", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(ArchiveRefused, match="is a link"):
        unpack(tmp_path / "evil", tmp_path / "out", print)
    data = bytearray(zip_archive({"a.png": b"x"}))
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    (tmp_path / "evil").write_bytes(data)
    with pytest.raises(ArchiveRefused, match="encrypted"):
        unpack(tmp_path / "evil", tmp_path / "out", print)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_bombs_are_refused(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(archives, "ALLOWANCE", 100_000)
    path, zeros = tmp_path / "bomb", bytes(5_000_000)
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.png", zeros)
    else:
        tar(path, [("a.png", zeros, {})])
    assert path.stat().st_size < 10_000
    with pytest.raises(ArchiveRefused, match="more than"):
        unpack(path, tmp_path / "out", print)
    assert not (tmp_path / "out").exists()


def test_a_zip_that_lies_about_a_size_is_cut_off(tmp_path):
    with zipfile.ZipFile(tmp_path / "liar", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(1_000_000))
    data = (tmp_path / "liar").read_bytes().replace((1_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    (tmp_path / "liar").write_bytes(data)
    with pytest.raises(ArchiveRefused):
        unpack(tmp_path / "liar", tmp_path / "out", print)
    assert not (tmp_path / "out").exists()


def test_too_many_members_and_the_same_name_twice_are_refused(tmp_path, monkeypatch):
    tar(tmp_path / "twice", [("a.png", b"a", {}), ("A.png", b"b", {})])
    with pytest.raises(ArchiveRefused, match="twice"):
        unpack(tmp_path / "twice", tmp_path / "out", print)
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    (tmp_path / "many").write_bytes(zip_archive({f"{k}.png": b"x" for k in range(4)}))
    with pytest.raises(ArchiveRefused, match="more than 3 members"):
        unpack(tmp_path / "many", tmp_path / "out", print)


@pytest.mark.parametrize("cut", [10, 200, 2000])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_damaged_archives_leave_nothing(tmp_path, cut, kind):
    path = tmp_path / "cut"
    if kind == "zip":
        path.write_bytes(GOOD[:-cut])
    else:
        tar(path, [(name, data, {}) for name, data in good_members().items()])
        path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(ArchiveRefused, match="damaged"):
        unpack(path, tmp_path / "out", print)
    assert not (tmp_path / "out").exists()


def test_hidden_files_are_left_out(tmp_path):
    names = ["tiny/a.png", "tiny/.DS_Store", "__MACOSX/tiny/._a.png", "tiny/._a.png"]
    (tmp_path / "mac").write_bytes(zip_archive({name: b"x" for name in names}))
    assert unpack(tmp_path / "mac", tmp_path / "out", lambda *_: None) == 1
    assert [path.name for path in tmp_path.joinpath("out").rglob("*") if path.is_file()] == ["a.png"]
