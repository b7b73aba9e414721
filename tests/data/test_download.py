import hashlib
import http.server
import threading
import zipfile

import pytest

from mmml.data import download, on_disk
from mmml.data.base import datasets
from mmml.data.download import Download, fetch
from mmml.data.on_disk import OnDisk
from mmml.errors import UserError
from tests.conftest import command

CONTENT = bytes(range(256)) * 1000
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT at any address but /missing; breaks off after ``breaks[0]``
    bytes, and so on.
    """

    breaks: list
    queried: list
    ranges = True
    busy = 0  # how often it says so before it answers


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Range")))
        if self.path == "/missing":
            self.send_error(404)
            return
        if self.server.busy:
            self.server.busy -= 1
            self.send_error(503)
            return
        start = 0
        if self.server.ranges and (wanted := self.headers.get("Range")):
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        upto = self.server.breaks.pop(0) if self.server.breaks else len(CONTENT)
        self.wfile.write(CONTENT[start:upto])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download, "PAUSE", 0.0)
    served = Server(("127.0.0.1", 0), Handler)
    served.breaks, served.asked = [], []
    thread = threading.Thread(target=served.serve_forever)
    thread.start()
    yield served
    served.shutdown()
    thread.join()
    served.server_close()


def at(server, name="file.bin", digest=DIGEST):
    return Download(f"http://127.0.0.1:{server.server_port}/{name}", f"inside/{name}", digest)


def test_a_file_is_downloaded_once(server, tmp_path):
    target = fetch(at(server), tmp_path)
    assert target == tmp_path / "inside" / "file.bin" and target.read_bytes() == CONTENT
    assert fetch(at(server), tmp_path) == target and len(server.asked) == 1
    assert [p.name for p in target.parent.iterdir()] == ["file.bin"]


def test_what_breaks_off_is_gone_on_with(server, tmp_path):
    server.breaks = [1000, 50_000]
    assert fetch(at(server), tmp_path).read_bytes() == CONTENT
    assert [r for _, r in server.asked] == [None, "bytes=1000-", "bytes=50000-"]


def test_a_busy_server_is_asked_again(server, tmp_path):
    server.busy = 2
    assert fetch(at(server), tmp_path).read_bytes() == CONTENT and len(server.asked) == 3
    server.busy = 9
    with pytest.raises(
        UserError, match=r"/other cannot be had \(HTTP Error 503: Service Unavailable\)"
    ):
        fetch(at(server, "other"), tmp_path)


def test_what_an_earlier_program_left_is_used(server, tmp_path):
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "file.bin.part").write_bytes(CONTENT[:777])
    assert fetch(at(server), tmp_path).read_bytes() == CONTENT
    assert server.asked == [("/file.bin", "bytes=777-")]


def test_a_part_that_is_whole_already_is_checked(server, tmp_path):
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "file.bin.part").write_bytes(CONTENT)
    assert fetch(at(server), tmp_path).read_bytes() == CONTENT


def test_a_server_that_cannot_resume_sends_everything_anew(server, tmp_path):
    server.ranges, server.breaks = False, [1000]
    assert fetch(at(server), tmp_path).read_bytes() == CONTENT


def test_other_content_is_refused_and_not_kept(server, tmp_path):
    with pytest.raises(
        UserError, match=r"file.bin: its content is not what was expected; try again"
    ):
        fetch(at(server, digest="md5:0"), tmp_path)
    assert not list((tmp_path / "inside").iterdir())
    damaged = tmp_path / "inside" / "file.bin"
    damaged.write_bytes(b"damaged")
    assert fetch(at(server), tmp_path).read_bytes() == CONTENT  # what is there is checked too


def test_without_a_digest_it_must_be_a_whole_zip_file(server, tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "some.zip", "w") as file:
        file.writestr("a.txt", "A" * 1000)
    content = (tmp_path / "some.zip").read_bytes()
    monkeypatch.setattr(f"{__name__}.CONTENT", content[:-30])
    with pytest.raises(UserError, match="its content is not what was expected"):
        fetch(at(server, digest=None), tmp_path)
    monkeypatch.setattr(f"{__name__}.CONTENT", content)
    fetched = fetch(at(server, digest=None), tmp_path)
    fetched.write_bytes(content.replace(b"AAA", b"BBB"))
    assert fetch(at(server, digest=None), tmp_path).read_bytes() == content


def test_what_cannot_be_had_is_told(server, tmp_path):
    with pytest.raises(
        UserError, match=r"/missing cannot be had \(404 Not Found\): get it by hand"
    ):
        fetch(at(server, "missing"), tmp_path)
    assert len(server.asked) == 1  # and not asked for again
    server.breaks = [10, 20, 30, 40, 50]
    with pytest.raises(
        UserError, match=r"it broke off after 50 of 256,000 bytes.*The same command goes on"
    ):
        fetch(at(server), tmp_path)
    assert (tmp_path / "inside" / "file.bin.part").read_bytes() == CONTENT[:50]


def test_get_downloads_and_tells_what_is_left(server, tmp_path, monkeypatch, capsys):
    class Part(OnDisk):
        name, folder_name, downloads = "part", "part", (at(server),)

        def load(self, modalities):
            return {}

    monkeypatch.setitem(datasets._parts, "part", Part)
    monkeypatch.setenv("MMML_DATA", str(tmp_path))
    assert on_disk.get("part", None) == 0
    assert capsys.readouterr().out == f"{tmp_path}/part/inside/file.bin\n"
    monkeypatch.setattr(Part, "by_hand", {"other*.zip": "a file of a friend"})
    assert on_disk.get("part", str(tmp_path / "other")) == 1
    assert f"to be put into {tmp_path}/other/part: a file of a friend" in capsys.readouterr().out
    with pytest.raises(UserError, match="has no other.zip: put there a file of a friend"):
        Part(None).find("other*.zip", wanted="other.zip")
    with pytest.raises(UserError, match=r"has no \*.tar: run mmml-data get part \(dataset.root="):
        Part(None).find("*.tar", "*.zip")
    (tmp_path / "part" / "other2.zip").touch()
    assert Part(None).find("*.tar", "*.zip") == [tmp_path / "part" / "other2.zip"]
    assert on_disk.get("part", None) == 0 and "to be put" not in capsys.readouterr().out


def test_without_a_root_data_lie_in_the_cache(monkeypatch):
    from mmml.data.cache import cache_dir

    monkeypatch.delenv("MMML_DATA", raising=False)
    section = {
        "name": "meld_mustard",
        "root": None,
        "train": "emotion",
        "val": "sentiment",
        "test": "sarcasm",
    }
    built = datasets.build_section(section, "dataset")
    assert built.folder == cache_dir() / "data" / "text_sentiment"


def test_every_file_has_an_address_and_most_a_digest():
    found = [
        d for name in datasets.names() for d in getattr(datasets.get(name, ""), "downloads", ())
    ]
    assert len(found) > 20 and all(d.url.startswith("https://") for d in found)
    assert sum(d.digest is None for d in found) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["glyphs"], "glyphs: there is nothing of that name to get"),
        (["omniglott"], "there is nothing of that name to get; did you mean 'omniglot'?"),
        ([], "give one dataset: mmml-data get NAME"),
        (["omniglot", "root=x"], "root=x: mmml-data get takes dataset.root= alone"),
    ],
)
def test_mistakes_on_the_command_line(arguments, message, tmp_path):
    done = command("data", "get", *arguments, cwd=tmp_path)
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr


def test_a_full_disk_is_not_taken_for_a_network(server, tmp_path, monkeypatch):
    def receive(url, partial):
        server.asked.append(url)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download, "_receive", receive)
    with pytest.raises(OSError, match=r"No space left on device: .*file\.bin\.part"):
        fetch(at(server), tmp_path)
    assert len(server.asked) == 1
