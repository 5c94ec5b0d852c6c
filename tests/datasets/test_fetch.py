"""Fetching of public datasets, from a local server that breaks connections, lies and sends other bytes."""

import hashlib
import io
import json
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cgbench.benchmarks.cli.main import main
from cgbench.datasets.download import http
from cgbench.datasets.download.archives import ArchiveRefused
from cgbench.datasets.download.catalogue import CATALOGUE, PublicSet
from cgbench.datasets.download.fetch import fetch
from cgbench.datasets.download.http import DownloadFailed, Limits, checked_url, download
from cgbench.errors import CgbenchError, DataBroken
from helpers.archives import COUNTS, GOOD, good_members, png_image, zip_archive
from helpers.cli import cgbench

QUICK = Limits(max_bytes=10_000_000, timeout=1.0, pause=0.0)


TINY = PublicSet("tiny", "http://127.0.0.1:1/tiny.zip", "no licence", "Nobody (2020)", COUNTS)


class Server(ThreadingHTTPServer):
    """Serves `data`; `behave(handler, start, turn)` may answer instead; `requested` holds the Range headers."""

    daemon_threads = True

    def __init__(self, data, behave=None, ranges=True):
        super().__init__(("127.0.0.1", 0), Handler)
        self.data, self.behave, self.ranges, self.requested = data, behave, ranges, []
        self.etag = '"one"'
        self.url = f"http://127.0.0.1:{self.server_port}/tiny.zip"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server
        server.requested.append(self.headers.get("Range"))
        start = 0
        if server.ranges and (requested := self.headers.get("Range")):
            start = int(requested.removeprefix("bytes=").removesuffix("-"))
            if self.headers.get("If-Range") not in (None, server.etag):
                start = 0
        if server.behave and server.behave(self, start, len(server.requested)):
            return
        self.answer(start)

    def answer(self, start, stop=None, announced=None, total=None):
        data, total = self.server.data, total or len(self.server.data)
        if start and start >= len(data):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        self.send_header("Content-Length", str(announced if announced is not None else len(data) - start))
        self.send_header("ETag", self.server.etag)
        self.end_headers()
        self.wfile.write(data[start:stop])


@pytest.fixture
def serve():
    servers = []

    def start(data=GOOD, behave=None, ranges=True):
        server = Server(data, behave, ranges)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def load(server, target, limits=QUICK):
    lines = []
    download(server.url, target, limits, lines.append, lambda done, total: None)
    return lines


def fetched(server, root, entry=TINY, limits=QUICK, url=None):
    lines = []
    folder = fetch(entry, root, url or server.url, lines.append, lambda done, total: None, limits)
    return folder, "\n".join(lines)


# the main job


def test_a_set_is_fetched_counted_and_described(serve, tmp_path):
    server = serve()
    folder, lines = fetched(server, tmp_path)
    assert {name: len(list((folder / name).iterdir())) for name in COUNTS} == COUNTS
    for words in ("no licence", "Nobody (2020)", "trainA 3", "cgbench run", f"--data-root {folder}"):
        assert words in lines
    source = json.loads((tmp_path / "tiny.source.json").read_text())
    assert source["sha256"] == hashlib.sha256(GOOD).hexdigest() and source["bytes"] == len(GOOD)
    assert source["url"] == server.url and source["images"] == COUNTS
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny", "tiny.source.json"], "nothing else is left"
    assert "is there already" in fetched(server, tmp_path)[1] and len(server.requested) == 1


def test_the_next_commands_find_what_was_fetched(serve, tmp_path):
    folder, lines = fetched(serve(), tmp_path)
    check, run = (line.removeprefix("Next:").split() for line in lines.splitlines()[-2:])
    assert check[:4] == ["cgbench", "datasets", "check", "folder"] and "3 images" in cgbench(*check[1:])
    options = main.commands["run"].make_context("run", run[2:]).params
    assert (options["dataset"], options["data_root"]) == ("folder", folder)


def test_pairs_side_by_side_are_a_layout_of_folder(serve, tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for split, count in (("train", 4), ("val", 2)):
            for k in range(count):
                entry = tarfile.TarInfo(f"./pairs/{split}/{k}.png")
                data = png_image(k + 10 * count)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
    entry = PublicSet("pairs", "http://x/pairs.tar.gz", "no licence", "Nobody", {"train": 4}, ("train", "val"))
    folder, lines = fetched(serve(buffer.getvalue()), tmp_path, entry)
    assert "train 4, val 2" in lines
    from cgbench.datasets.folder import Folder

    data = Folder(folder)
    assert data.missing() is None and data.side_by_side and len(data.items("test", "B")) == 2


# connections


def test_a_cut_connection_goes_on_where_it_broke(serve, tmp_path):
    def cut(handler, start, turn):
        if turn > 3:
            return False
        handler.answer(start, start + len(GOOD) // 5)
        return True

    server = serve(behave=cut)
    load(server, tmp_path / "tiny.zip")
    assert (tmp_path / "tiny.zip").read_bytes() == GOOD
    fifth = len(GOOD) // 5
    assert server.requested == [None, f"bytes={fifth}-", f"bytes={2 * fifth}-", f"bytes={3 * fifth}-"]


def test_a_later_command_goes_on_where_an_earlier_one_was_stopped(serve, tmp_path):
    def always_cut(handler, start, turn):
        handler.answer(start, start + (100 if turn == 1 else 0))
        return True

    server = serve(behave=always_cut)
    with pytest.raises(DownloadFailed, match=r"without progress.*kept in .*tiny\.zip\.part"):
        load(server, tmp_path / "tiny.zip")
    assert (tmp_path / "tiny.zip.part").read_bytes() == GOOD[:100]
    server.behave, server.requested = None, []
    load(server, tmp_path / "tiny.zip")
    assert server.requested == ["bytes=100-"] and (tmp_path / "tiny.zip").read_bytes() == GOOD


def test_ctrl_c_keeps_the_part(serve, tmp_path):
    def pressed(done, total):
        raise KeyboardInterrupt

    server = serve()
    with pytest.raises(KeyboardInterrupt):
        download(server.url, tmp_path / "tiny.zip", QUICK, print, pressed)
    assert (tmp_path / "tiny.zip.part").stat().st_size > 0
    load(server, tmp_path / "tiny.zip")
    assert (tmp_path / "tiny.zip").read_bytes() == GOOD


def test_a_server_without_ranges_sends_all_again(serve, tmp_path):
    def cut_once(handler, start, turn):
        if turn > 1:
            return False
        handler.answer(0, 200)
        return True

    load(serve(behave=cut_once, ranges=False), tmp_path / "tiny.zip")
    assert (tmp_path / "tiny.zip").read_bytes() == GOOD


def test_a_file_that_changed_meanwhile_is_loaded_anew(serve, tmp_path):
    def cut_then_change(handler, start, turn):
        if turn > 1:
            return False
        handler.answer(0, 200)
        handler.server.data, handler.server.etag = GOOD[::-1], '"two"'
        return True

    load(serve(behave=cut_then_change), tmp_path / "tiny.zip")
    assert (tmp_path / "tiny.zip").read_bytes() == GOOD[::-1]


def test_another_part_than_asked_for_is_not_added(serve, tmp_path):
    def wrong_range(handler, start, turn):
        if turn == 1:
            handler.answer(0, 200)
        elif turn == 2:
            handler.answer(100)  # from 100, though 200 was asked for
        else:
            return False
        return True

    load(serve(behave=wrong_range), tmp_path / "tiny.zip")
    assert (tmp_path / "tiny.zip").read_bytes() == GOOD


def test_a_length_that_is_too_long_ends_after_a_few_attempts(serve, tmp_path):
    def boast(handler, start, turn):
        if start >= len(GOOD):
            handler.send_error(416)
        else:
            handler.answer(start, announced=len(GOOD) - start + 500, total=len(GOOD) + 500)
        return True

    server = serve(behave=boast)
    with pytest.raises(DownloadFailed, match=r"contradicts itself.*should be longer"):
        load(server, tmp_path / "tiny.zip")
    assert len(server.requested) < 15


def test_a_length_that_is_too_short_gives_an_archive_that_is_refused(serve, tmp_path):
    def understate(handler, start, turn):
        handler.answer(start, announced=len(GOOD) - 300)
        return True

    with pytest.raises(CgbenchError, match=r"tiny\.zip.*(damaged|no such archive).*loads it again"):
        fetched(serve(behave=understate), tmp_path)
    assert not (tmp_path / "tiny").exists()


@pytest.mark.parametrize("code", [403, 404, 410])
def test_an_answer_that_says_no_is_not_repeated(serve, tmp_path, code):
    server = serve(behave=lambda handler, start, turn: handler.send_error(code) or True)
    with pytest.raises(DownloadFailed, match=f"answers {code}.*--url"):
        load(server, tmp_path / "tiny.zip")
    assert len(server.requested) == 1


def test_a_server_that_is_busy_is_asked_again(serve, tmp_path):
    server = serve(behave=lambda handler, start, turn: turn < 3 and (handler.send_error(503) or True))
    load(server, tmp_path / "tiny.zip")
    assert len(server.requested) == 3


def test_redirects_are_followed_but_not_in_circles_nor_to_files(serve, tmp_path):
    def to(place):
        def behave(handler, start, turn):
            handler.send_response(302)
            handler.send_header("Location", place or handler.server.url)
            handler.end_headers()
            return True

        return behave

    good = serve()
    load(serve(behave=to(good.url)), tmp_path / "tiny.zip")
    assert (tmp_path / "tiny.zip").read_bytes() == GOOD
    circle = serve(behave=to(""))
    with pytest.raises(DownloadFailed, match="redirect"):
        load(circle, tmp_path / "b.zip")
    assert len(circle.requested) < 30
    for place in ("file:///etc/passwd", "ftp://127.0.0.1/x"):
        with pytest.raises(CgbenchError, match=r"only http|not allowed"):
            load(serve(behave=to(place)), tmp_path / "c.zip")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/x", "tiny.zip", "http:///x", "data:,x"])
def test_other_addresses_are_refused(url):
    with pytest.raises(CgbenchError, match="only http"):
        checked_url(url)


def test_a_silent_server_times_out(serve, tmp_path):
    def silent(handler, start, turn):
        time.sleep(0.6)
        return True

    with pytest.raises(DownloadFailed, match="without progress"):
        load(serve(behave=silent), tmp_path / "tiny.zip", Limits(10_000_000, timeout=0.1, pause=0.0))


def test_a_server_that_drips_is_left(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(http, "STALL_SECONDS", 0.1)

    def drip(handler, start, turn):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(GOOD)))
        handler.end_headers()
        for k in range(50):
            handler.wfile.write(GOOD[k : k + 1])
            handler.wfile.flush()
            time.sleep(0.02)
        return True

    monkeypatch.setattr(http, "MAX_ATTEMPTS", 2)
    with pytest.raises(DownloadFailed, match="hardly sends"):
        load(serve(behave=drip), tmp_path / "tiny.zip")


def test_nobody_listening_is_said(tmp_path):
    with pytest.raises(DownloadFailed, match="refused"):
        download("http://127.0.0.1:9/x", tmp_path / "x", QUICK, print, print)


def test_too_much_is_refused_announced_or_not(serve, tmp_path):
    small = Limits(max_bytes=500, timeout=1.0, pause=0.0)
    with pytest.raises(DownloadFailed, match="more than"):
        load(serve(), tmp_path / "a.zip", small)

    def without_length(handler, start, turn):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(GOOD)
        return True

    with pytest.raises(DownloadFailed, match="more than"):
        load(serve(behave=without_length), tmp_path / "b.zip", small)
    assert (tmp_path / "b.zip.part").stat().st_size <= 500


def test_a_disk_without_room_is_seen_before(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(http, "MARGIN", 10**18)
    with pytest.raises(DownloadFailed, match="make room"):
        load(serve(), tmp_path / "a.zip")


def test_two_at_once_do_not_mix(serve, tmp_path):
    import fcntl

    with (tmp_path / "tiny.zip.part").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(DownloadFailed, match="another process"):
            load(serve(), tmp_path / "tiny.zip")


# content


def test_other_bytes_than_the_digest_says_are_refused(serve, tmp_path):
    right = PublicSet("tiny", TINY.url, "", "", COUNTS, sha256=hashlib.sha256(GOOD).hexdigest())
    corrupt = bytearray(GOOD)
    corrupt[len(GOOD) // 2] ^= 1
    with pytest.raises(DownloadFailed, match="SHA-256"):
        fetched(serve(bytes(corrupt)), tmp_path, right)
    assert not (tmp_path / "tiny").exists() and not (tmp_path / "tiny.zip").exists()
    assert fetched(serve(), tmp_path, right)[0].is_dir()


def test_corrupt_bytes_without_a_digest_fail_the_archives_own_sum(serve, tmp_path):
    corrupt = bytearray(GOOD)
    corrupt[GOOD.index(png_image(3)) + 200] ^= 1
    with pytest.raises(ArchiveRefused, match="CRC"):
        fetched(serve(bytes(corrupt)), tmp_path)
    assert not (tmp_path / "tiny").exists()


def test_another_archive_than_last_time_is_noticed(serve, tmp_path):
    import shutil

    folder, _ = fetched(serve(), tmp_path)
    shutil.rmtree(folder)
    other = zip_archive(good_members() | {"tiny/readme.txt": b"new"})
    with pytest.raises(DownloadFailed, match=r"tiny\.source\.json to accept"):
        fetched(serve(other), tmp_path)
    (tmp_path / "tiny.source.json").unlink()
    assert fetched(serve(other), tmp_path)[0].is_dir()


def test_other_counts_than_the_catalogues_keep_the_archive_and_say_so(serve, tmp_path):
    members = good_members()
    members.pop("tiny/trainB/1.png")
    with pytest.raises(DataBroken, match=r"trainB holds 1 image instead of 2.*archive is kept"):
        fetched(serve(zip_archive(members)), tmp_path)
    assert (tmp_path / "tiny.zip").exists() and not (tmp_path / "tiny").exists()


def test_a_folder_that_is_there_but_incomplete_is_not_touched(serve, tmp_path):
    (tmp_path / "tiny" / "trainA").mkdir(parents=True)
    with pytest.raises(DataBroken, match="move it away"):
        fetched(serve(), tmp_path)


# the catalogue and the command line


def test_the_catalogue_has_the_counts_of_its_source():
    assert CATALOGUE["horse2zebra"].counts == {"trainA": 1067, "trainB": 1334, "testA": 120, "testB": 140}
    assert CATALOGUE["horse2zebra"].url == "http://efrosgans.eecs.berkeley.edu/cyclegan/datasets/horse2zebra.zip"
    assert sum(CATALOGUE["maps"].counts.values()) == 4388 and CATALOGUE["vangogh2photo"].note
    for name, entry in CATALOGUE.items():
        assert entry.name == name and entry.licence and entry.cite and checked_url(entry.url)
        assert set(entry.counts) <= set(entry.folders)


def test_the_command_lists_refuses_and_helps(tmp_path):
    assert "horse2zebra" in cgbench("datasets", "fetch") and "trainA 1067" in cgbench("datasets", "fetch")
    assert "registration" in cgbench("run", "--methods", "cyclegan", "--dataset", "cityscapes", code=2)
    assert "withdrawn" in cgbench("datasets", "fetch", "cityscapes", "--data-root", tmp_path, code=2)
    assert "did you mean 'horse2zebra'" in cgbench("datasets", "fetch", "horse2zebr", code=2)
    assert "--data-root" in cgbench("datasets", "fetch", "maps", code=2)


def test_the_command_fetches_from_a_mirror(serve, tmp_path, monkeypatch):
    monkeypatch.setitem(CATALOGUE, "tiny", TINY)
    output = cgbench("datasets", "fetch", "tiny", "--data-root", tmp_path, "--url", serve().url)
    assert "no licence" in output and "Next:" in output and (tmp_path / "tiny" / "trainA" / "0.png").exists()
