"""Read the words of a PDF that typst wrote: its fonts tell which character each glyph is."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

_OBJECT = re.compile(rb"(?:^|\n)(\d+) 0 obj\b(.*?)\nendobj", re.DOTALL)
_STREAM = re.compile(rb"stream\r?\n(.*?)\r?\nendstream", re.DOTALL)
_FONT = re.compile(rb"/(\w+) [\d.]+ Tf")
_ESCAPE = re.compile(rb"\\(n|r|t|b|f|[0-7]{1,3}|.)", re.DOTALL)
_NAMED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def words_of(pdf: bytes) -> str:
    """Give all text of the pages, in the order of writing, without blanks and line ends."""
    objects = {int(found[1]): found[2] for found in _OBJECT.finditer(pdf)}
    fonts = {number: _glyphs(_content(objects[int(found[1])])) for number, body in objects.items()
             if (found := re.search(rb"/ToUnicode (\d+) 0 R", body))}  # fmt: skip
    text = []
    for body in objects.values():
        if not re.search(rb"/Type ?/Page\b", body):
            continue
        named = _fonts_of(body, objects)
        content = re.search(rb"/Contents (\d+) 0 R", body)
        assert content, "a page has a content"
        glyphs: dict[int, str] = {}
        for found in _pieces(_content(objects[int(content[1])])):
            if found.startswith(b"/"):
                glyphs = fonts.get(named.get(found[1:], 0), {})
                continue
            text += [glyphs.get(int.from_bytes(found[at : at + 2], "big"), "") for at in range(0, len(found), 2)]
    return "".join("".join(text).split())


def _pieces(content: bytes) -> Iterator[bytes]:
    """Give the fonts (with a stroke before their name) and the strings of a page in order."""
    at = 0
    while at < len(content):
        one = content[at : at + 1]
        if one == b"(":
            end, depth = at + 1, 1
            while depth:
                letter = content[end : end + 1]
                depth += (letter == b"(") - (letter == b")")
                end += 2 if letter == b"\\" else 1
            yield _ESCAPE.sub(_plain, content[at + 1 : end - 1])
            at = end
            continue
        if one == b"/" and (found := _FONT.match(content, at)):
            yield b"/" + found[1]
        elif one == b"<" and (hexed := re.compile(rb"<([0-9a-fA-F]+)>").match(content, at)):
            yield bytes.fromhex(hexed[1].decode())
        at += 1


def _plain(found: re.Match[bytes]) -> bytes:
    code = found[1]
    return _NAMED.get(code) or (bytes([int(code, 8)]) if code[:1].isdigit() else code)


def _content(body: bytes) -> bytes:
    found = _STREAM.search(body)
    assert found
    # The bytes may end with what looks like a line end: their number counts.
    length = re.search(rb"/Length (\d+)", body)
    if length:
        start = found.start(1)
        content = body[start : start + int(length[1])]
        return zlib.decompress(content) if b"FlateDecode" in body.split(b"stream", 1)[0] else content
    return zlib.decompress(found[1]) if b"FlateDecode" in body.split(b"stream", 1)[0] else found[1]


def _fonts_of(body: bytes, objects: dict[int, bytes]) -> dict[bytes, int]:
    """Name the fonts of a page; its resources may stand in an object of their own."""
    while found := re.search(rb"/(Resources|Font) (\d+) 0 R", body):
        body = body.replace(found[0], b"/" + found[1] + objects[int(found[2])])
    return {name: int(number) for name, number in re.findall(rb"/(f\d+|F\d+) (\d+) 0 R", body)}


def _glyphs(cmap: bytes) -> dict[int, str]:
    found = {}
    for block in re.findall(rb"beginbfchar(.*?)endbfchar", cmap, re.DOTALL):
        for code, text in re.findall(rb"<([0-9a-fA-F]+)> ?<([0-9a-fA-F]+)>", block):
            found[int(code, 16)] = bytes.fromhex(text.decode()).decode("utf-16-be")
    for block in re.findall(rb"beginbfrange(.*?)endbfrange", cmap, re.DOTALL):
        for first, last, text in re.findall(rb"<([0-9a-fA-F]+)> ?<([0-9a-fA-F]+)> ?<([0-9a-fA-F]+)>", block):
            start = int(text, 16)
            for code in range(int(first, 16), int(last, 16) + 1):
                found[code] = chr(start + code - int(first, 16))
    return found
