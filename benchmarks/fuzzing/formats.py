"""Damage to the parts of a file, with check sums set right."""

import gzip
import hashlib
import io
import json
import random
import re
import sqlite3
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable

from fuzzing.flat import NUMBERS, TEXTS, damaged_json, flat

# To a part that is a file of its own.
Damage = Callable[[bytes], bytes]

_SHAPES = [
    "()", "(0,)", "(-1,)", "(99999999999,)", "(3, 0)", "(1, 1, 1)", "(2**40,)", "('a',)", "(True,)",
    "(0, 99999999999999999999)", "(4294967296, 4294967296)", "(1.0,)", "None",
]  # fmt: skip
_TYPES = [
    "'|O'", "'<f2'", "'>f8'", "'<U9999999'", "'|S0'", "'<i1'", "'|V9'", "'<M8[s]'", "'<c16'",
    "[('a', '<f4')]", "'f4,' * 9", "('<f4', (3,))", "'float'", "7", "'<f16'", "'|b1'",
]  # fmt: skip
_CELLS = [
    None, "", "{}", "[1]", "x" * 300, b"", b"\0" * 16, 0, -1, 2**62, 1e300, float("inf"), "nan",
    b"\xff" * 8, b"\0\0\xc0\x7f" * 4, '{"network": 1}', '{"network": "a"', "\0", "é", 1.5,
]  # fmt: skip


def zip_members(data: bytes) -> list[tuple[zipfile.ZipInfo, bytes]]:
    """Return the members of a zip file."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(info, archive.read(info)) for info in archive.infolist()]


def zip_of(members: list[tuple[zipfile.ZipInfo, bytes]]) -> bytes:
    """Return a zip file of members, with the check sums that they have now."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for old, content in members:
            info = zipfile.ZipInfo(old.filename, old.date_time)
            info.compress_type, info.external_attr = old.compress_type, old.external_attr
            info.extra, info.comment = old.extra, old.comment
            archive.writestr(info, content)
    return buffer.getvalue()


def damaged_zip(data: bytes, chance: random.Random, damage: Damage) -> bytes:
    """Change a member, or what the archive says of it."""
    members = zip_members(data)
    at = chance.randrange(len(members))
    info, content = members[at]
    kind = chance.randrange(10)
    if kind < 6:
        members[at] = info, damage(content)
    elif kind == 6:
        info.filename = chance.choice([*TEXTS, *(i.filename for i, _ in members)]) or "x"
        info.filename = info.filename.encode("utf-8", "replace").decode()
    elif kind == 7:
        info.compress_type = chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
        info.external_attr = chance.choice((0o120777, 0o10777, 0o40755, 0o100644)) << 16
    elif kind == 8:
        members.insert(chance.randrange(len(members)), (info, chance.choice(members)[1]))
    else:
        del members[at]
    _with_hashes(members, chance)
    return zip_of(members)


def _with_hashes(members: list[tuple[zipfile.ZipInfo, bytes]], chance: random.Random) -> None:
    # Models have a table of hashes, which would stop all damage at the door.
    for i, (info, content) in enumerate(members):
        if info.filename == "facts.json" and chance.random() < 0.95:
            try:
                facts = json.loads(content)
                facts["members"] = {
                    other.filename: hashlib.sha256(inside).hexdigest()
                    for other, inside in members
                    if other.filename != "facts.json"
                }
                members[i] = info, json.dumps(facts).encode()
            except (ValueError, TypeError, RecursionError):
                continue


def damaged_gzip(data: bytes, chance: random.Random, damage: Damage) -> bytes:
    """Change what is compressed."""
    return gzip.compress(damage(gzip.decompress(data)), 1, mtime=0)


def damaged_tar(data: bytes, chance: random.Random, damage: Damage) -> bytes:
    """Change the head of a member and set its check sum right."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tape:
        heads = [member.offset for member in tape.getmembers()]
    at = chance.choice(heads)
    head = bytearray(data[at : at + 512])
    name, size = chance.choice(
        [(0, 100), (100, 8), (124, 12), (136, 12), (156, 1), (157, 100), (257, 8), (345, 155)]
    )
    if name in (100, 124, 136):
        number = chance.choice([b"%o" % max(0, n) for n in (*NUMBERS, 8**11 - 1)] + [b"\x80\xff"])
        value = number.rjust(size - 1, b"0")[: size - 1] + b"\0"
    elif name == 156:
        value = bytes([chance.choice(b"0123456789xgLKSVAN\0D")])
    else:
        value = chance.choice(TEXTS).encode("utf-8", "replace")
    head[name : name + size] = value[:size].ljust(size, b"\0")
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return data[:at] + bytes(head) + data[at + 512 :]


def damaged_npy(data: bytes, chance: random.Random, damage: Damage) -> bytes:
    """Change the head of an array."""
    length = struct.unpack("<H", data[8:10])[0]
    head, body = data[10 : 10 + length].decode("latin-1"), data[10 + length :]
    kind = chance.randrange(5)
    if kind == 0:
        shape = chance.choice(_SHAPES)
        head = re.sub(r"'shape': \([^)]*\)", lambda _: f"'shape': {shape}", head)
    elif kind == 1:
        descr = chance.choice(_TYPES)
        head = re.sub(r"'descr': [^,]*", lambda _: f"'descr': {descr}", head)
    elif kind == 2:
        head = head.replace("False", chance.choice(("True", "None", "1", "__import__('os')")))
    elif kind == 3:
        head = flat(head.encode("latin-1"), chance, []).decode("latin-1")
    else:
        body = flat(body, chance, [])
    head = head.rstrip().ljust(len(head.rstrip()) + chance.choice((0, 1, 16))) + "\n"
    encoded = head.encode("latin-1", "replace")[:65535]
    return data[:8] + struct.pack("<H", len(encoded)) + encoded + body


def damaged_safetensors(data: bytes, chance: random.Random, damage: Damage) -> bytes:
    """Change the head, the settings in it, or the numbers."""
    length = struct.unpack("<Q", data[:8])[0]
    head, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    if chance.random() < 0.25:
        body = flat(body, chance, [])
    else:
        settings = head.get("__metadata__", {}).get("settings")
        if isinstance(settings, str) and chance.random() < 0.6:
            changed = damaged_json(json.loads(settings), chance)
            head["__metadata__"]["settings"] = json.dumps(changed)
        else:
            head = damaged_json(head, chance)
    encoded = json.dumps(head).encode()
    return struct.pack("<Q", len(encoded)) + encoded + body


def damaged_sqlite(data: bytes, chance: random.Random, damage: Damage) -> bytes:
    """Change a value, or what a table is, in a database."""
    # Written out and read again, so that what is in it has SQLite's own form.
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.deserialize(data)
    connection.execute("PRAGMA writable_schema = ON")
    names = [n for (n,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")]
    table = chance.choice(names)
    columns = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
    column = chance.choice(columns)
    value = chance.choice(_CELLS)
    script = chance.choice(
        [
            f'UPDATE OR IGNORE "{table}" SET "{column}" = ?',
            f'UPDATE OR IGNORE "{table}" SET "{column}" = CAST(? AS TEXT)',
            f'DELETE FROM "{table}" WHERE "{column}" IS NOT ?',
            f'INSERT OR IGNORE INTO "{table}" ("{column}") VALUES (?)',
            "UPDATE sqlite_master SET sql = replace(sql, 'NOT NULL', '') WHERE ? IS NOT 'x'",
            f"UPDATE sqlite_master SET sql = replace(sql, '{column}', 'other') WHERE ? IS NOT 'x'",
            f"DELETE FROM sqlite_master WHERE name = '{table}' AND ? IS NOT 'x'",
            f"PRAGMA user_version = {chance.choice((0, 2, -1))}",
            f'DROP TABLE "{table}"',
            f'CREATE VIEW other AS SELECT * FROM "{table}"',
            f'CREATE TRIGGER t AFTER INSERT ON "{table}" BEGIN DELETE FROM "{table}"; END',
        ]
    )
    connection.execute(script, (value,) if "?" in script else ())
    changed = bytes(connection.serialize())
    connection.close()
    return changed


def damaged_png(data: bytes, chance: random.Random, damage: Damage) -> bytes:
    """Change a chunk and set its check sum right."""
    chunks, at = [], 8
    while at + 8 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    which = chance.randrange(len(chunks))
    kind, content = chunks[which]
    if chance.random() < 0.3:
        known = (b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf", b"tRNS", b"PLTE", b"acTL", b"fcTL")
        kind = chance.choice(known)
    if kind == b"IDAT" and chance.random() < 0.7:
        content = zlib.compress(flat(zlib.decompress(content), chance, []))
    else:
        content = flat(content, chance, [])
    chunks[which] = kind, content
    return data[:8] + b"".join(
        struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks
    )


def damaged_matlab(data: bytes, chance: random.Random, damage: Damage) -> bytes:
    """Change what is inside a compressed variable."""
    at, parts = 128, []
    while at + 8 <= len(data):
        kind, length = struct.unpack("<II", data[at : at + 8])
        parts.append((kind, data[at + 8 : at + 8 + length]))
        at += 8 + length
    which = chance.randrange(len(parts))
    kind, content = parts[which]
    if kind == 15:
        content = zlib.compress(flat(zlib.decompress(content), chance, []))
    else:
        content = flat(content, chance, [])
    parts[which] = kind, content
    return data[:128] + b"".join(struct.pack("<II", k, len(c)) + c for k, c in parts)
