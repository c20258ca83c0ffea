"""Prometheus behind a login, behind TLS, and moved: who is told what, and who is not."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import ssl
import subprocess
import threading
import traceback
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import leakhunt
from leakhunt.cli.main import main
from leakhunt.engine.analyze import AnalyzeRequest, analyze
from leakhunt.errors import LeakhuntError, MissingRequirement, UsageError
from leakhunt.foreign.credentials import (
    BEARER_VARIABLE,
    USER_VARIABLE,
    Credentials,
    credentials,
)
from leakhunt.foreign.prometheus import RangeQuery, fetched
from leakhunt.text.message import Text

END = 1_700_000_000.0
TOKEN = "s3cret-token"  # noqa: S105 - made up
USER = "reader:s3cret: pass"


@contextmanager
def server(
    wanted: str = "", *, tls: ssl.SSLContext | None = None, moved_to: str = ""
) -> Iterator[tuple[str, list[str]]]:
    """A server that asks for a header; its address, and the headers that it got."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = dict(urllib.parse.parse_qsl(body))
            seen.append(self.headers.get("Authorization", ""))
            code, data = (200, answered(form)) if seen[-1] == wanted else (401, b'{"error": "no"}')
            if moved_to:
                code, data = 302, b""
            self.send_response(code)
            if moved_to:
                self.send_header("Location", moved_to)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args: object) -> None:
            """Who asked has broken off the handshake."""

    made = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        made.socket = tls.wrap_socket(made.socket, server_side=True)
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{made.server_port}", seen
    finally:
        made.shutdown()
        made.server_close()
        thread.join()


def answered(form: Mapping[str, str]) -> bytes:
    at, end, step = (float(form[name]) for name in ("start", "end", "step"))
    values = []
    while at <= end + 1e-6:
        values.append([at, str(300e6 + (at - END + 36_000) * 1000)])
        at += step
    result = [{"metric": {"instance": "a"}, "values": values}]
    return json.dumps(
        {"status": "success", "data": {"resultType": "matrix", "result": result}}
    ).encode()


def query(url: str) -> RangeQuery:
    return RangeQuery(url=url, query="memory", seconds=36_000, end=END, step_seconds=60.0)


def basic(user: str) -> str:
    return f"Basic {base64.b64encode(user.encode()).decode()}"


@pytest.mark.parametrize(
    ("text", "option", "header"),
    [(TOKEN, "token_file", f"Bearer {TOKEN}"), (USER, "user_file", basic(USER))],
)
def test_credentials_come_from_a_file(
    text: str, option: str, header: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{text}\n")
    with server(header) as (url, seen):
        result = analyze(
            AnalyzeRequest(
                prometheus=url, query="memory", since="10h", step="60s",
                token_file=file if option == "token_file" else None,
                user_file=file if option == "user_file" else None,
            ),
            out=tmp_path / "out",
        )  # fmt: skip
        words = ["analyze", "--prometheus", url, "--query", "memory", "--since", "10h"]
        words += [f"--{option.replace('_', '-')}", str(file), "--out", str(tmp_path / "cli")]
        assert main([*words, "--json"]) == 0
    assert len(seen) > 1 and set(seen) == {header}
    assert result.report.instances[0].instance == "a"
    told = "".join(capsys.readouterr())
    for each in (*(tmp_path / "out").iterdir(), *(tmp_path / "cli").iterdir()):
        told += each.read_text("utf-8")
    assert "memory" in told
    for secret in (text, header, header.split()[1], text.rpartition(":")[2]):
        assert secret not in told


@pytest.mark.parametrize(
    ("name", "text", "header"),
    [(BEARER_VARIABLE, f" {TOKEN} ", f"Bearer {TOKEN}"), (USER_VARIABLE, USER, basic(USER))],
)
def test_credentials_come_from_the_environment(name: str, text: str, header: str) -> None:
    found = credentials(variables={name: text})
    assert found and found.header == header
    assert not credentials(variables={}) and "s3cret" not in repr(found)


def test_a_file_comes_before_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "user"
    file.write_text(USER)
    variables = {BEARER_VARIABLE: TOKEN}
    assert credentials(user_file=file, variables=variables).header == basic(USER)


@pytest.mark.parametrize(
    ("option", "text"),
    [("token_file", ""), ("token_file", "s3cret one"), ("token_file", "s3cret\r\nX-Header: 1"),
     ("token_file", "s3cret\x00"), ("user_file", "s3cret"), ("user_file", "u:s3cret\nX: 1")],
)  # fmt: skip
def test_what_is_no_secret_is_refused_and_not_shown(option: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(text.encode())
    with pytest.raises(UsageError, match="expected") as caught:
        credentials(**{option: file})  # type: ignore[arg-type]
    assert "s3cret" not in str(caught.value).replace(str(file), "")


def test_credentials_that_are_missing_or_two() -> None:
    with pytest.raises(UsageError, match=r"--token-file /nowhere: No such file.*Check the path"):
        credentials("/nowhere")
    with pytest.raises(UsageError, match="one of the two"):
        credentials("a", "b")
    with pytest.raises(UsageError, match="set one of the two"):
        credentials(variables={BEARER_VARIABLE: "a", USER_VARIABLE: "b:c"})
    with pytest.raises(UsageError, match="--token-file needs --prometheus"):
        leakhunt.analyze("memory.csv", token_file="token")  # noqa: S106 - a file


def test_who_is_denied_is_told_what_to_do() -> None:
    with server(f"Bearer {TOKEN}") as (url, _):
        with pytest.raises(MissingRequirement, match=r"HTTP 401.*--token-file.*--user-file"):
            fetched(query(url))
        wrong = replace(query(url), credentials=Credentials("Bearer wr0ng"))
        with pytest.raises(MissingRequirement, match=r"HTTP 401.*Check the token") as caught:
            fetched(wrong)
    assert "wr0ng" not in str(caught.value)


def test_a_redirect_is_not_followed_and_tells_where_it_leads() -> None:
    with (
        server() as (other, seen),
        server(moved_to=f"{other.replace('//', '//u:p@')}/x") as (
            url,
            _,
        ),
    ):
        asked = replace(query(url), credentials=Credentials(f"Bearer {TOKEN}"))
        with pytest.raises(MissingRequirement, match=f"redirects to {other}/x"):
            fetched(asked)
    assert seen == []


def test_secrets_in_the_clear_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[Text] = []
    with server(f"Bearer {TOKEN}") as (url, _):
        asked = replace(query(url), credentials=Credentials(f"Bearer {TOKEN}"))
        fetched(asked, noted.append)
        assert noted == []
        monkeypatch.setattr("leakhunt.foreign.prometheus_server._LOOPBACK", ())
        fetched(asked, noted.append)
    assert [str(each) for each in noted] == [
        f"{url}: credentials go over the network unencrypted. Use https://"
    ]


@pytest.mark.parametrize(
    "url",
    [
        "http://reader:s3/cret@127.0.0.1:1",
        "http://reader:12/s3cret@127.0.0.1:1",
        "http://reader:12?s3cret@127.0.0.1:1",
        "http://reader:12#s3cret@127.0.0.1:1",
        "http://reader:s3cret@127.0.0.1:99999",
        "http://reader:s3cret@127.0.0.1:port",
        "http://reader:s3cret@[::1",
        "http://reader:s3cret@a..b:1",
        "ftp://reader:s3cret@127.0.0.1:1",
    ],
)
def test_an_address_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(UsageError) as refused:
        fetched(query(url))
    assert "s3" not in str(refused.value) and "cret" not in str(refused.value)
    shown = "".join(traceback.format_exception(refused.value)).replace(repr(url), "")
    assert "s3" not in shown.rpartition("UsageError")[2]


def test_a_path_of_any_letters_is_asked_for() -> None:
    with server() as (url, seen):
        assert fetched(query(f"{url}/my pr\u00e4fix%20x/")).source.startswith(
            f"{url}/my%20pr%C3%A4fix%20x memory"
        )
    assert seen


def test_a_user_in_the_address_comes_before_the_environment() -> None:
    ambient = credentials(variables={BEARER_VARIABLE: TOKEN})
    with server(basic("reader:other")) as (url, seen):
        named = url.replace("//", "//reader:other@")
        fetched(replace(query(named), credentials=ambient))
        assert set(seen) == {basic("reader:other")}
    with server(f"Bearer {TOKEN}") as (url, seen):
        fetched(replace(query(url), credentials=ambient))
        assert set(seen) == {f"Bearer {TOKEN}"}


_HEAD = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"SSH-2.0-OpenSSH\r\n", "not the API of a Prometheus server"),
        (_HEAD % b"200 OK" + b"X: " + b"a" * 70_000 + b"\r\n\r\n", "not the API"),
        (_HEAD % b"200 OK" + b"\r\n" + b"[" * 100_000, "not the API"),
        (_HEAD % b"200 OK" + b"Transfer-Encoding: chunked\r\n\r\n10\r\nab", "reset by peer"),
        (_HEAD % b"503 No" + b"Transfer-Encoding: chunked\r\n\r\n10\r\nab", "HTTP 503"),
        (_HEAD % b"302 No" + b"Location: http://a:s3cret@[x?s3cret\r\n\r\n", "redirects to [x."),
        (_HEAD % b"200 OK" + b'\r\n{"status": "success", "data": {}, "warnings": null}', "series"),
    ],
    ids=["ssh", "header", "deep", "cut", "cut error", "moved", "no warnings"],
)
def test_whatever_answers_ends_in_one_line(answer: bytes, told: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def reply() -> None:
            asked, _ = listening.accept()
            with asked:
                while b"step=" not in asked.recv(1 << 16):
                    pass
                asked.sendall(answer)

        thread = threading.Thread(target=reply)
        thread.start()
        with pytest.raises(LeakhuntError) as refused:
            fetched(query(f"http://127.0.0.1:{listening.getsockname()[1]}"))
        thread.join()
    assert told in str(refused.value) and "s3cret" not in str(refused.value)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Self-signed, of 127.0.0.1 and of another host."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is missing")
    folder = tmp_path_factory.mktemp("certificates")
    made = {}
    for name, host in (("own", "IP:127.0.0.1"), ("others", "DNS:elsewhere.test")):
        file = made[name] = folder / f"{name}.pem"
        subprocess.run(
            [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-keyout", str(file.with_suffix(".key")), "-out", str(file), "-days", "2",
             "-subj", "/CN=test", "-addext", f"subjectAltName={host}"],
            check=True, capture_output=True,
        )  # fmt: skip
    return made


def serving(file: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, file.with_suffix(".key"))
    return context


def test_tls_errors_are_one_clear_line(certificates: Mapping[str, Path]) -> None:
    own, others = certificates["own"], certificates["others"]
    with server(tls=serving(own)) as (url, _):
        asked = replace(query(url), ca_file=own)
        assert fetched(asked).series[0].instance == "a"
        with pytest.raises(MissingRequirement, match=r"not trusted: self.signed.*--ca-file") as no:
            fetched(query(url))
        assert "\n" not in str(no.value) and "_ssl.c" not in str(no.value)
        with pytest.raises(UsageError, match="--ca-file"):
            fetched(replace(asked, ca_file=own.with_suffix(".gone")))
        with pytest.raises(UsageError, match="no certificate found"):
            fetched(replace(asked, ca_file=Path(__file__)))
    with (
        server(tls=serving(others)) as (url, _),
        pytest.raises(MissingRequirement, match=r"not trusted: IP address mismatch"),
    ):
        fetched(replace(query(url), ca_file=others))
    with (
        server() as (url, _),
        pytest.raises(MissingRequirement, match=r"does not use TLS. Use http://"),
    ):
        fetched(query(url.replace("http:", "https:")))
