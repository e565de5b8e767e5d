"""A web server on this machine that can fail in the ways that real ones do."""

import hashlib
import json
import struct
import threading
import time
import zlib
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlparse

import pytest

from sklearn_memorability.datasets import _osf


@dataclass
class Served:
    """A file on the server.

    ``faults`` are used up one a request: a status to answer with, or ``("break", n)`` to
    end the connection after n bytes, or ``("hang", n)`` to send no more after n bytes.
    """

    content: bytes
    etag: str | None = '"1"'
    ranges: bool = True
    tells_length: bool = True
    faults: list = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        web = self.server.web
        path = urlparse(self.path).path
        sent = {"path": path, "headers": dict(self.headers), "bytes": 0}
        web.requests.append(sent)
        if path in web.redirects:
            return self._answer(302, b"", {"Location": web.redirects[path]})
        served = web.files.get(path)
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
    """What the server has, and what was asked of it."""

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

    def put(self, name, content, **options):
        self.files[f"/{name}"] = Served(content, **options)
        return f"{self.address}/{name}"

    def asked(self, name):
        return [request for request in self.requests if request["path"] == f"/{name}"]

    def put_on_osf(self, node, files, folder=None, **options):
        """List files as api.osf.io does: a page an entry, in a folder if one is named."""
        entries = [
            {
                "attributes": {
                    "kind": "file",
                    "name": name,
                    "size": len(content),
                    "extra": {
                        "hashes": {
                            "md5": hashlib.md5(content).hexdigest(),
                            "sha256": hashlib.sha256(content).hexdigest(),
                        }
                    },
                },
                "links": {"download": self.put(f"{node}/{name}", content, **options)},
            }
            for name, content in files.items()
        ]
        root = f"v2/nodes/{node}/files/osfstorage/"
        if folder is None:
            self._pages(root, entries)
            return
        inner = self._pages(f"{root}{folder}/", entries)
        self._pages(
            root,
            [
                {
                    "attributes": {"kind": "folder", "name": folder},
                    "relationships": {"files": {"links": {"related": {"href": inner}}}},
                    "links": {},
                }
            ],
        )

    def _pages(self, path, entries):
        for i, entry in enumerate(entries):
            name = path if i == 0 else f"{path}page{i}/"
            more = f"{self.address}/{path}page{i + 1}/" if i + 1 < len(entries) else None
            self.put(name, json.dumps({"data": [entry], "links": {"next": more}}).encode())
        return f"{self.address}/{path}"

    def close(self):
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def web():
    server = Web()
    yield server
    server.close()


@pytest.fixture
def on_web(web, monkeypatch):
    """Point a module's files, and the Open Science Framework, at the local server."""
    monkeypatch.setattr(_osf, "API", f"{web.address}/v2")

    def pointed(module):
        files = [
            file
            if file.url.startswith("osf:")
            else replace(file, url=f"{web.address}/{file.name}", known_hash=None)
            for file in module._FILES
        ]
        monkeypatch.setattr(module, "_FILES", tuple(files))

    return pointed


@pytest.fixture
def wait_until():
    """Wait for something that another process does."""

    def wait(condition, seconds=20):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it took too long"
            time.sleep(0.002)

    return wait


@pytest.fixture
def encrypted_zip():
    """Make the bytes of an encrypted archive, which zipfile reads but doesn't write."""
    return _encrypted_zip


def _encrypted_zip(files, password):
    """Write a zip file as the older of the two ways of encryption has it (APPNOTE 6.1)."""

    def update(keys, byte):
        crc = (zlib.crc32(bytes([byte]), keys[0] ^ 0xFFFFFFFF) ^ 0xFFFFFFFF) & 0xFFFFFFFF
        keys[0] = crc
        keys[1] = ((keys[1] + (crc & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        high = keys[1] >> 24
        keys[2] = (zlib.crc32(bytes([high]), keys[2] ^ 0xFFFFFFFF) ^ 0xFFFFFFFF) & 0xFFFFFFFF

    def encrypt(data):
        keys = [0x12345678, 0x23456789, 0x34567890]
        for byte in password.encode():
            update(keys, byte)
        encrypted = bytearray()
        for byte in data:
            mask = (keys[2] | 2) & 0xFFFF
            encrypted.append(byte ^ (((mask * (mask ^ 1)) >> 8) & 0xFF))
            update(keys, byte)
        return bytes(encrypted)

    body, directory = b"", b""
    for name, content in files.items():
        crc = zlib.crc32(content)
        data = encrypt(bytes(11) + bytes([crc >> 24]) + content)
        raw = name.encode()
        common = struct.pack(
            "<HHHHHIIIHH", 20, 1, 0, 0, 0x21, crc, len(data), len(content), len(raw), 0
        )
        directory += b"PK\1\2" + struct.pack("<H", 20) + common
        directory += struct.pack("<HHHII", 0, 0, 0, 0, len(body)) + raw
        body += b"PK\3\4" + common + raw + data
    end = struct.pack("<HHHHIIH", 0, 0, len(files), len(files), len(directory), len(body), 0)
    return body + directory + b"PK\5\6" + end
