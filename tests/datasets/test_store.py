"""The store: missing, truncated and altered files, resumed downloads, partial datasets."""

from __future__ import annotations

import functools
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from physbench.datasets import Dataset, File
from physbench.datasets.common import store

CONTENT = bytes(range(256)) * 5000


def dataset(url: str | None = None, files: int = 1) -> Dataset:
    digest = hashlib.sha256(CONTENT).hexdigest()
    return Dataset(
        summary="s",
        version="1",
        licence="l",
        citation="c",
        source="the archive",
        load=lambda: None,
        files=tuple(File(f"part{i}.bin", digest, len(CONTENT), url) for i in range(files)),
        folders=("elsewhere",),
    )


@pytest.fixture(autouse=True)
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHYSBENCH_DATA", str(tmp_path))


def put(tmp_path: Path, content: bytes, name: str = "elsewhere") -> Path:
    path = tmp_path / name / "part0.bin"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


def test_absent_dataset_prints_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        store.checked("toy", dataset("http://example.invalid/part0.bin"))
    for part in ("data get toy", str(tmp_path), "the archive", "embedded"):
        assert part in str(caught.value)


@pytest.mark.parametrize("name", ["toy", "elsewhere"])
def test_file_already_there_is_used(tmp_path: Path, name: str) -> None:
    path = put(tmp_path, CONTENT, name)
    assert store.checked("toy", dataset()) == {"part0.bin": path}


@pytest.mark.parametrize(
    ("content", "state"),
    [
        (CONTENT[:-1], "is truncated"),
        (CONTENT[:-1] + b"x", "was altered"),
        (CONTENT + b"x", "is altered"),
    ],
)
def test_damaged_file_names_expected_found_and_remedy(
    tmp_path: Path, content: bytes, state: str
) -> None:
    path = put(tmp_path, content)
    with pytest.raises(store.DataError, match=state) as caught:
        store.checked("toy", dataset())
    assert str(path) in str(caught.value)
    assert "expected" in str(caught.value)
    assert "found" in str(caught.value)
    assert "data get toy" in str(caught.value)


def test_change_after_a_first_use_is_seen(tmp_path: Path) -> None:
    path = put(tmp_path, CONTENT)
    store.checked("toy", dataset())
    path.write_bytes(CONTENT[::-1])
    with pytest.raises(store.DataError):
        store.checked("toy", dataset())


def test_missing_part_is_an_error_unless_partial(tmp_path: Path) -> None:
    put(tmp_path, CONTENT)
    with pytest.raises(FileNotFoundError, match=r"part1\.bin is missing"):
        store.checked("toy", dataset(files=2))
    assert list(store.checked("toy", dataset(files=2), partial=True)) == ["part0.bin"]
    assert [state == "ok" for _, state in store.verify("toy", dataset(files=2))] == [True, False]


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves `CONTENT`, with ranges, and notes what was asked for."""

    asked: list[str | None]

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.asked.append(wanted)
        start = int(wanted.split("=")[1].rstrip("-")) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start:])

    def log_message(self, *arguments: object) -> None:
        """Be quiet."""


@pytest.fixture
def server() -> Iterator[tuple[str, list[str | None]]]:
    asked: list[str | None] = []
    handler = functools.partial(type("H", (Handler,), {"asked": asked}))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as web:
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{web.server_port}/part0.bin", asked
        web.shutdown()
        thread.join()


def test_download_resumes_where_it_stopped(
    tmp_path: Path, server: tuple[str, list[str | None]]
) -> None:
    url, asked = server
    part = tmp_path / "toy" / "part0.bin.part"
    part.parent.mkdir()
    part.write_bytes(CONTENT[:1000])
    (path,) = store.get("toy", dataset(url))
    assert path.read_bytes() == CONTENT
    assert asked == ["bytes=1000-"]
    assert store.get("toy", dataset(url)) == [path]
    assert len(asked) == 1


def test_download_that_is_wrong_is_not_put_into_place(
    tmp_path: Path, server: tuple[str, list[str | None]]
) -> None:
    url, _ = server
    part = tmp_path / "toy" / "part0.bin.part"
    part.parent.mkdir()
    part.write_bytes(b"rubbish")
    with pytest.raises(ValueError, match="hash"):
        store.get("toy", dataset(url))
    assert not (tmp_path / "toy" / "part0.bin").exists()
    (path,) = store.get("toy", dataset(url))
    assert path.read_bytes() == CONTENT


def test_file_without_an_address_says_where_it_comes_from() -> None:
    with pytest.raises(store.DataError, match=r"part0\.bin has no download address"):
        store.get("toy", dataset())
