"""``leakhunt serve``: a real server on a free port, asked in good and in bad faith."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

import pytest
from conftest import Leakhunt

from leakhunt.reporting.registry import RENDERERS
from leakhunt.server.app import _servers
from leakhunt.server.catalog import Shelf

EXAMPLE = Path(__file__).parents[3] / "reports" / "examples" / "fsmn-vad-cpu"
RUN_FILE = "naive.run.jsonl"
# A bound for what hangs; less than the silence after which the server closes a connection.
BOUND_SECONDS = 25


@dataclass
class Server:
    """A server process and where it listens."""

    process: subprocess.Popen[str]
    port: int
    address: str = "127.0.0.1"

    def ask(self, path: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
        """The answer to a request of this path just as it is written here."""
        connection = http.client.HTTPConnection(self.address, self.port, timeout=BOUND_SECONDS)
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection.getresponse()

    def text(self, path: str) -> str:
        """The body of what must be there."""
        answer = self.ask(path)
        assert answer.status == 200, path
        return answer.read().decode()


Serve = Callable[[Path], Server]


@contextmanager
def servers() -> Iterator[Serve]:
    """Serve a folder on a free port, each call another, until the end."""
    running: list[subprocess.Popen[str]] = []

    def start(folder: Path) -> Server:
        process = subprocess.Popen(
            [sys.executable, "-m", "leakhunt", "serve", str(folder)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        running.append(process)
        assert process.stdout is not None
        url = process.stdout.readline()
        assert url.startswith("http://127.0.0.1:"), url
        return Server(process, int(url.strip().strip("/").rpartition(":")[2]))

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def serve() -> Iterator[Serve]:
    with servers() as start:
        yield start


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for what only asks, and changes nothing: one for all of these."""
    with servers() as start:
        yield start(made_folder(tmp_path_factory.mktemp("served")))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return made_folder(tmp_path)


def made_folder(tmp_path: Path) -> Path:
    """A report, a folder of run files alone, one damaged report, one cut off file, and traps."""
    root = tmp_path / "reports"
    shutil.copytree(EXAMPLE, root / "whole")
    for name in ("deep/<b>测试", "cut", "damaged", "private", ".hidden", "links"):
        (root / name).mkdir(parents=True)
    shutil.copy(EXAMPLE / RUN_FILE, root / "deep" / "<b>测试")
    (root / "cut" / RUN_FILE).write_bytes((EXAMPLE / RUN_FILE).read_bytes()[:500])
    (root / "damaged" / "report.json").write_text('{"runs": 5')
    (root / "damaged" / "report.html").write_text("<p>an old page")
    (root / "private" / "notes.txt").write_text("a secret")
    (root / ".hidden" / "report.html").write_text("a secret")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "report.html").write_text("a secret")
    (root / "links" / "report.html").symlink_to(tmp_path / "outside" / "report.html")
    (root / "out").symlink_to(tmp_path / "outside")
    os.mkfifo(root / "links" / "report.md")
    return root


def test_the_listing_names_every_report_and_what_stands_in_the_way(
    serve: Serve, folder: Path
) -> None:
    page = serve(folder).text("/")
    assert page.count("<article>") == 4
    assert "▲ leak in native code" in page and "live heap 58.5 KiB/call" in page
    assert "deep/&lt;b&gt;测试" in page and "<b>" not in page
    assert "no verdict yet" in page
    assert "report.json: damaged" in page
    assert f"{RUN_FILE}: not a leakhunt run file" in page
    assert "secret" not in page and "notes" not in page and ">.hidden" not in page


def test_a_report_that_breaks_the_renderer_is_told_and_the_others_stand(
    monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf = Shelf(folder)
    (server, *_) = _servers(shelf, 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        monkeypatch.setattr(shelf, "read", lambda place, name: 1 / 0)
        answer = ask(server.server_port, "/reports/whole/report.html")
        assert answer.status == HTTPStatus.INTERNAL_SERVER_ERROR
        assert b"ZeroDivisionError" in answer.read()
        assert ask(server.server_port, "/").status == HTTPStatus.OK
    finally:
        server.shutdown()
        server.server_close()
    assert "ZeroDivisionError" in capsys.readouterr().err


def ask(port: int, path: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=BOUND_SECONDS)
    connection.request("GET", path)
    return connection.getresponse()


def test_every_link_of_the_listing_leads_to_its_file_with_the_right_type(
    serve: Serve, folder: Path
) -> None:
    server = serve(folder)
    kinds = {"html": "text/html; charset=utf-8", "json": "application/json", "png": "image/png",
             "md": "text/markdown; charset=utf-8"}  # fmt: skip
    links = {part.partition('"')[0] for part in server.text("/").split('href="')[1:]}
    usual = [renderer for renderer in RENDERERS if renderer.by_default]
    assert len(links) == 2 * len(usual) + 2
    for link in links:
        answer = server.ask(link)
        assert (answer.status, answer.getheader("Content-Type")) == (
            200, kinds[link.rpartition(".")[2]]
        ), link  # fmt: skip
        body = answer.read()
        assert len(body) == int(answer.getheader("Content-Length") or -1)
        assert answer.getheader("Cache-Control") == "no-store"
        policy = answer.getheader("Content-Security-Policy") or ""
        assert "default-src 'none'" in policy and "http" not in policy
    stored = server.ask("/reports/whole/report.html").read()
    assert stored == (EXAMPLE / "report.html").read_bytes()


def test_run_files_alone_are_rendered_on_demand_and_nothing_is_written(
    serve: Serve, folder: Path
) -> None:
    server = serve(folder)
    before = sorted(folder.rglob("*"))
    place = f"/reports/deep/{quote('<b>测试')}"
    assert "naive: leak in native code" in server.text(f"{place}/report.html")
    assert json.loads(server.text(f"{place}/report.json"))["title"] == "fsmn-vad"
    assert server.ask(f"{place}/curves.png").read().startswith(b"\x89PNG")
    assert sorted(folder.rglob("*")) == before
    answer = server.ask("/reports/cut/report.html")
    assert answer.status == 422
    text = answer.read().decode()
    assert "cannot be rendered" in text and "no header" in text
    assert str(folder) not in text


def test_what_changes_is_read_again(serve: Serve, folder: Path) -> None:
    server = serve(folder)
    assert "leak in native code" in server.text("/")
    document = json.loads((folder / "whole" / "report.json").read_text())
    document["title"] = "another title"
    (folder / "whole" / "report.json").write_text(json.dumps(document))
    assert "another title" in server.text("/")
    shutil.rmtree(folder / "whole")
    page = server.text("/")
    assert "another title" not in page and page.count("<article>") == 3
    place = f"/reports/deep/{quote('<b>测试')}/report.json"
    assert len(json.loads(server.text(place))["runs"]) == 1
    shutil.copy(EXAMPLE / "chunked.run.jsonl", folder / "deep" / "<b>测试")
    assert len(json.loads(server.text(place))["runs"]) == 2


@pytest.mark.parametrize(
    "path",
    [
        "/../outside/report.html", "/reports/../outside/report.html",
        "/reports/%2e%2e/outside/report.html", "/reports/..%2foutside/report.html",
        "/reports/whole/../../../outside/report.html", "/reports/whole/%2e%2e/whole/report.html",
        "/reports//whole/report.html", "/reports/./whole/report.html",
        "/reports/out/report.html", "/reports/links/report.html", "/reports/links/report.md",
        "/reports/.hidden/report.html", "/reports/private/notes.txt",
        f"/reports/whole/{RUN_FILE}", "/reports/whole/", "/reports/whole", "/reports", "/reports/",
        "/reports/whole%00/report.html", "/reports/whole/report.html%00", "/%", "/reports/%ff/%fe",
        "//whole/report.html", "/reports/" + "a" * 5000 + "/report.html", "/favicon.ico",
        "http://127.0.0.1/reports/whole/report.html", "*", "/reports/whole/report.html/report.html",
    ],
)  # fmt: skip
def test_nothing_else_is_handed_out(served: Server, path: str) -> None:
    answer = served.ask(path)
    assert answer.status == 404
    assert "secret" not in answer.read().decode()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200), ("LOCALHOST:80", 200), ("127.0.0.1:5", 200), ("[::1]", 200),
        ("[::1]:8000", 200), ("evil.example", 421), ("evil.example:80", 421), ("", 421),
        ("localhost.evil.example", 421), ("127.0.0.1.evil.example", 421), ("127.0.0.2", 421),
        ("localhost@evil.example", 421), ("evil.example/localhost", 421), ("[::1", 421),
        ("localhost:port", 421), ("::1", 421),
    ],
)  # fmt: skip
def test_only_this_machines_own_names_are_answered(served: Server, host: str, status: int) -> None:
    answer = served.ask("/", Host=host)
    assert answer.status == status
    assert ("<article>" in answer.read().decode()) == (status == 200)


def test_head_tells_what_get_would_and_sends_nothing(served: Server) -> None:
    for path in ("/", "/reports/whole/curves.png", "/nowhere"):
        command, headed = served.ask(path), served.ask(path, "HEAD")
        assert headed.status == command.status
        assert headed.getheader("Content-Length") == str(len(command.read()))
        assert headed.read() == b""


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_there_is_nothing_to_change(served: Server, method: str) -> None:
    answer = served.ask("/", method, **{"Content-Length": "0"})
    assert (answer.status, answer.getheader("Allow")) == (405, "GET, HEAD")


def test_it_listens_on_this_machine_alone(serve: Serve, folder: Path) -> None:
    server = serve(folder)
    listening = [
        line.split()[1]
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for line in Path(table).read_text().splitlines()[1:]
        if line.split()[1].endswith(f":{server.port:04X}") and line.split()[3] == "0A"
    ]
    addresses = {each.partition(":")[0] for each in listening}
    assert addresses <= {"0100007F", "00000000000000000000000001000000"}
    assert "0100007F" in addresses
    if len(addresses) == 2:
        server.address = "::1"
        assert server.ask("/").status == 200


def test_an_empty_folder_is_served_and_says_what_to_do(serve: Serve, tmp_path: Path) -> None:
    assert "leakhunt run" in serve(tmp_path).text("/")


def test_a_folder_that_is_a_report_itself_is_listed(serve: Serve) -> None:
    server = serve(EXAMPLE)
    assert "▲ leak in native code" in server.text("/")
    assert server.text("/reports/report.md").startswith("#")


def test_what_other_verbs_write_is_listed_too_and_its_page_leads(
    serve: Serve, tmp_path: Path
) -> None:
    for verb in ("matrix", "bisect", "benchmark", "analyze", "attach", "gate", "compare"):
        (tmp_path / verb).mkdir()
        for end in ("html", "json"):
            (tmp_path / verb / f"{verb}.{end}").write_text(f"{end} of {verb}")
    (tmp_path / "matrix" / "curves.png").write_bytes(b"a figure")
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "matrix.json").write_text("without a page")
    server = serve(tmp_path)
    listing = server.text("/")
    for verb in ("matrix", "bisect", "benchmark", "analyze", "attach", "gate", "compare"):
        assert f'<h2><a href="/reports/{verb}/{verb}.html">' in listing
        assert server.text(f"/reports/{verb}/{verb}.html") == f"html of {verb}"
        assert server.text(f"/reports/{verb}/{verb}.json") == f"json of {verb}"
    assert server.text("/reports/matrix/curves.png") == "a figure"
    assert "alone" not in listing
    assert server.ask("/reports/matrix/bisect.html").status == 404


def test_a_gates_page_stands_beside_the_report_of_its_runs(serve: Serve, folder: Path) -> None:
    (folder / "deep" / "<b>测试" / "gate.html").write_text("the gate")
    server = serve(folder)
    place = f"/reports/deep/{quote('<b>测试')}"
    assert f'<h2><a href="{place}/report.html">' in server.text("/")
    assert server.text(f"{place}/gate.html") == "the gate"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_it_without_a_word(
    serve: Serve, folder: Path, number: signal.Signals
) -> None:
    server = serve(folder)
    server.text("/")
    server.process.send_signal(number)
    _, errors = server.process.communicate(timeout=30)
    assert (server.process.returncode, errors) == (0, "")


def test_a_reader_who_goes_away_is_no_news(serve: Serve, folder: Path) -> None:
    server = serve(folder)
    for _ in range(5):
        with socket.create_connection((server.address, server.port)) as gone:
            gone.sendall(b"GET /reports/whole/curves.png HTTP/1.1\r\nHost: localhost\r\n\r\n")
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    server.text("/")
    server.process.send_signal(signal.SIGINT)
    assert server.process.communicate(timeout=30)[1] == ""


def test_many_reports_are_listed_without_their_samples(serve: Serve, tmp_path: Path) -> None:
    """Two hundred folders; the run files beside the reports are only looked at, not read."""
    for number in range(200):
        place = tmp_path / f"report-{number}"
        place.mkdir()
        shutil.copy(EXAMPLE / "report.json", place)
        os.mkfifo(place / "pipe.run.jsonl")
        (place / RUN_FILE).write_bytes(b"no run file at all\n" * 1000)
    assert serve(tmp_path).text("/").count("<article>") == 200


@pytest.mark.parametrize(
    ("name", "expected"),
    [("nowhere", "No such file or directory"), ("file", "Not a directory")],
)
def test_a_folder_that_cannot_be_served_is_told_in_one_line(
    leakhunt: Leakhunt, tmp_path: Path, name: str, expected: str
) -> None:
    (tmp_path / "file").write_text("")
    done = leakhunt("serve", name)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line == f"leakhunt: {name}: {expected}. Choose a folder with reports"


def test_a_port_in_use_is_told_in_one_line(leakhunt: Leakhunt, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = leakhunt("serve", tmp_path, "--port", port)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line == f"leakhunt: --port {port}: already in use. Choose another port, or remove --port"


def test_slow_readers_do_not_stop_the_others(serve: Serve, folder: Path) -> None:
    server = serve(folder)
    with socket.create_connection((server.address, server.port)) as slow:
        slow.sendall(b"GET / HT")
        assert "<article>" in server.text("/")
