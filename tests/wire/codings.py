"""Content codings as strictly as their formats are written: bodies of scripted origins, and what
came back to the original bytes.

gzip: RFC 1952. br: RFC 7932. zstd: RFC 8878, its window: RFC 9659. By zlib of Python and Debian's
python3-brotli and python3-zstandard, none of which brink has anything to do with.
"""

import functools
import random
import zlib

import brotli
import zstandard

CODINGS = ("gzip", "br", "zstd")
LEVELS = {"gzip": 6, "br": 5, "zstd": 3}
ZSTD_WINDOW_MAX = 8 << 20  # RFC 9659 section 3: no more for who is a browser
WORDS = ("function return const value index length array string number object result element "
         "document window event handler promise await async callback request response cache header "
         "if else while for switch case break continue try catch throw new this null true false "
         "{ } ( ) ; = + - => === && || . , [ ]").split()


@functools.cache
def text(length, name=""):
    """`length` bytes that read, and shrink, like a script; others for another name."""
    rng = random.Random(f"{length} {name}")
    pieces, size = [f"// {name}\n"], len(name) + 4
    while size < length:
        word = rng.choice(WORDS) if rng.random() < 0.8 else f"v{rng.randrange(1 << 20):x}"
        pieces.append(word + ("\n" if rng.random() < 0.1 else " "))
        size += len(pieces[-1])
    return "".join(pieces).encode()[:length]


def encoder(coding, level=None):
    """An object with compress(data) and flush(), the end of the stream."""
    level = LEVELS[coding] if level is None else level
    if coding == "gzip":
        return zlib.compressobj(level, zlib.DEFLATED, 31)
    if coding == "zstd":
        return zstandard.ZstdCompressor(level=level, write_checksum=True).compressobj()
    return Brotli(level)


class Brotli:
    """brotli's compressor by the names of the others."""

    def __init__(self, level):
        self.inner = brotli.Compressor(quality=level)

    def compress(self, data):
        return self.inner.process(data)

    def flush(self):
        return self.inner.finish()


@functools.cache
def encode(coding, data, level=None):
    """`data` in that coding; identity: as it is."""
    if coding == "identity":
        return data
    stream = encoder(coding, level)
    return stream.compress(data) + stream.flush()


def bomb(coding, length, piece=1 << 20):
    """`length` zero bytes in that coding: some thousand times smaller."""
    stream = encoder(coding, 9 if coding != "br" else 5)
    zeros = bytes(piece)
    parts = [stream.compress(zeros) for _ in range(length // piece)]
    parts.append(stream.compress(zeros[:length % piece]))
    return b"".join(parts) + stream.flush()


def decode(coding, data):
    """The bytes that `data` stands for. ValueError when it is not one whole stream and no more."""
    if coding in (None, "identity"):
        return data
    try:
        return {"gzip": gunzip, "br": unbrotli, "zstd": unzstd}[coding](data)
    except (zlib.error, brotli.error, zstandard.ZstdError) as fault:
        raise ValueError(f"{coding}: {fault}") from fault


def gunzip(data):
    stream = zlib.decompressobj(31)
    out = stream.decompress(data) + stream.flush()
    return whole("gzip", out, stream.eof, stream.unused_data)


def unbrotli(data):
    stream = brotli.Decompressor()
    out = stream.process(data) if data else b""
    return whole("br", out, stream.is_finished(), b"")


def unzstd(data):
    if not data:
        raise ValueError("zstd: nothing at all")
    window = zstandard.get_frame_parameters(data).window_size
    if window > ZSTD_WINDOW_MAX:
        raise ValueError(f"zstd: a window of {window} bytes")
    stream = zstandard.ZstdDecompressor().decompressobj()
    return whole("zstd", stream.decompress(data), stream.eof, stream.unused_data)


def whole(coding, out, finished, left):
    if not finished:
        raise ValueError(f"{coding}: ends too early, after {len(out)} bytes")
    if left:
        raise ValueError(f"{coding}: {len(left)} bytes behind its end")
    return out


def decode_part(coding, data):
    """What can be said already of the begin of a coded body: it was flushed when that is all of it."""
    if coding == "gzip":
        return zlib.decompressobj(31).decompress(data)
    if coding == "br":
        return brotli.Decompressor().process(data)
    return zstandard.ZstdDecompressor().decompressobj().decompress(data) if coding == "zstd" else data


def coding_of(response):
    """Its content coding, identity without the field. Several make no sense from brink."""
    coding = response.get("Content-Encoding")
    if coding is None:
        return "identity"
    if coding not in CODINGS:
        raise ValueError(f"Content-Encoding: {coding}")
    return coding


def body_of(response):
    """The body of a whole response (200), decoded as its head says."""
    return decode(coding_of(response), response.body)


def expect(response, original, coding=None):
    """200 with the original bytes, in that coding when one is named; its length is right."""
    assert response.status == 200, response
    if coding is not None:
        assert coding_of(response) == coding, response
    if response.get("Content-Length") is not None:
        assert int(response["Content-Length"]) == len(response.body)
    got = body_of(response)
    assert got == original, f"{len(got)} bytes that are not the {len(original)} of the original: {response}"
