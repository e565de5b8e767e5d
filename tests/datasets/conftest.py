"""The internet, as a proxy on this machine that can fail in the ways that real servers do."""

import hashlib
import io
import json
import threading
import time
import zipfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlparse
from xml.sax.saxutils import escape

import numpy as np
import pytest
import requests
from PIL import Image


@dataclass
class Served:
    """A file on the web.

    ``faults`` are used up one a request: a status to answer with, or ``("break", n)`` to
    end the connection after n bytes, or ``("hang", n)`` to send no more after n bytes.
    """

    content: bytes
    etag: str | None = '"1"'
    ranges: bool = True
    tells_length: bool = True
    faults: list = field(default_factory=list)


def _key(url):
    address = urlparse(url)
    return address.netloc + address.path


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        web = self.server.web
        sent = {"key": _key(self.path), "headers": dict(self.headers), "bytes": 0}
        web.requests.append(sent)
        if sent["key"] in web.redirects:
            return self._answer(302, b"", {"Location": web.redirects[sent["key"]]})
        served = web.files.get(sent["key"])
        if served is None:
            return self._answer(404, b"")
        fault = served.faults.pop(0) if served.faults else None
        if isinstance(fault, int):
            return self._answer(fault, b"")
        status, body, headers = 200, served.content, {}
        wanted = self.headers.get("Range")
        condition = self.headers.get("If-Range")
        if served.ranges and wanted and condition in (None, served.etag):
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(body):
                return self._answer(416, b"", {"Content-Range": f"bytes */{len(body)}"})
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            status, body = 206, body[start:]
        if served.etag:
            headers["ETag"] = served.etag
        return self._answer(status, body, headers, fault, sent, served.tells_length)

    def _answer(self, status, body, headers=None, fault=None, sent=None, tells_length=True):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if tells_length:
            self.send_header("Content-Length", str(len(body)))
        else:
            self.close_connection = True
        self.end_headers()
        piece = body if fault is None else body[: fault[1]]
        for start in range(0, len(piece), 1 << 16):
            self.wfile.write(piece[start : start + (1 << 16)])
            if sent is not None:
                sent["bytes"] += len(piece[start : start + (1 << 16)])
        self.wfile.flush()
        if fault and fault[0] == "hang":
            self.server.web.released.wait(20)
        if fault:
            self.close_connection = True


class Web:
    """What the web has, and what was asked of it."""

    def __init__(self):
        self.files = {}
        self.redirects = {}
        self.requests = []
        self.released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.web = self
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"

    def put(self, url, content, **options):
        self.files[_key(url)] = Served(content, **options)
        return self.files[_key(url)]

    def redirect(self, url, to):
        self.redirects[_key(url)] = to

    def asked(self, url):
        return [request for request in self.requests if request["key"] == _key(url)]

    def put_on_osf(self, node, files, folder=None):
        """List files as the Open Science Framework does: a page an entry, maybe in a folder."""
        entries = []
        for name, content in files.items():
            url = f"https://files.osf.io/v1/resources/{node}/providers/osfstorage/{name}"
            self.put(url, content)
            hashes = {"sha256": hashlib.sha256(content).hexdigest()}
            facts = {
                "kind": "file",
                "name": name,
                "size": len(content),
                "extra": {"hashes": hashes},
            }
            entries.append({"attributes": facts, "links": {"download": url}})
        root = f"https://api.osf.io/v2/nodes/{node}/files/osfstorage/"
        if folder is not None:
            self._pages(f"{root}{folder}/", entries)
            inner = {"files": {"links": {"related": {"href": f"{root}{folder}/"}}}}
            facts = {"kind": "folder", "name": folder}
            entries = [{"attributes": facts, "relationships": inner, "links": {}}]
        self._pages(root, entries)

    def _pages(self, url, entries):
        for i, entry in enumerate(entries):
            more = f"{url}page{i + 1}/" if i + 1 < len(entries) else None
            page = {"data": [entry], "links": {"next": more}}
            self.put(f"{url}page{i}/" if i else url, json.dumps(page).encode())

    def close(self):
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def web(monkeypatch):
    """Answer all requests of this process and its children from this machine."""
    server = Web()
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", server.address)
    request = requests.Session.request

    def without_tls(self, method, url, **options):
        return request(self, method, url.replace("https://", "http://", 1), **options)

    monkeypatch.setattr(requests.Session, "request", without_tls)
    yield server
    server.close()


@pytest.fixture
def wait_until():
    """Wait for something that another process does."""

    def wait(condition, seconds=20):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it took too long"
            time.sleep(0.002)

    return wait


def _jpeg():
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "JPEG")
    return buffer.getvalue()


JPEG = _jpeg()


@pytest.fixture
def jpeg():
    """The bytes of a small image."""
    return JPEG


@pytest.fixture
def put_images():
    """Write a small image at each path below a folder."""

    def put(folder, names):
        for name in names:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(JPEG)

    return put


@pytest.fixture
def structs():
    """Make a MATLAB structure array from mappings of the same names."""

    def make(rows):
        array = np.empty((1, len(rows)), dtype=[(name, object) for name in rows[0]])
        for i, row in enumerate(rows):
            array[0, i] = tuple(row.values())
        return array

    return make


@pytest.fixture
def write_xlsx():
    return _write_xlsx


def _write_xlsx(path, rows):
    # The least that a spreadsheet can be: one sheet with text and numbers.
    cells = "".join(
        "<row>"
        + "".join(
            f'<c t="inlineStr"><is><t>{escape(cell)}</t></is></c>'
            if isinstance(cell, str)
            else f"<c><v>{cell}</v></c>"
            for cell in row
        )
        + "</row>"
        for row in rows
    )
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    parts = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    links = "http://schemas.openxmlformats.org/package/2006/relationships"
    with zipfile.ZipFile(path, "w") as file:
        for name, kind, target in (
            ("_rels/.rels", "officeDocument", "xl/workbook.xml"),
            ("xl/_rels/workbook.xml.rels", "worksheet", "worksheets/sheet1.xml"),
        ):
            link = f'<Relationship Id="rId1" Type="{parts}/{kind}" Target="{target}"/>'
            file.writestr(name, f'<Relationships xmlns="{links}">{link}</Relationships>')
        file.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{main}" xmlns:r="{parts}"><sheets>'
            '<sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>',
        )
        sheet = f'<worksheet xmlns="{main}"><sheetData>{cells}</sheetData></worksheet>'
        file.writestr("xl/worksheets/sheet1.xml", sheet)
