"""Every byte in every place of a request: which of them the grammar allows, and what comes of it.

For each of the 256 bytes the request is either refused, with nothing at the origin, or reaches it
exactly as the grammar reads it.
"""

import string

import pytest

from client import Client
from strict_cases import HOST, Ask, chunked, get, post, refused
from strict_stage import check_kept, check_refusal, read_answers, stage

__all__ = ["stage"]  # the fixture

ALNUM = (string.ascii_letters + string.digits).encode()
DIGITS = string.digits.encode()
HEX = string.hexdigits.encode()
TOKEN = ALNUM + b"!#$%&'*+-.^_`|~"
REG_NAME = ALNUM + b"-._~!$&'()*+;="  # RFC 3986 without the comma and escapes
PCHAR = REG_NAME + b",:@"
QUERY = PCHAR + b"/?[]{}|^`"
TEXT = bytes([9, *range(0x20, 0x7f), *range(0x80, 0x100)])  # of a field value
BLANKS = b" \t"
LAST = b"0\r\n\r\n"


def in_method(byte):
    raw = b"G" + byte + b"T /a HTTP/1.1\r\n" + HOST + b"\r\n\r\n"
    return raw, Ask(b"G" + byte + b"T") if byte in TOKEN else None


def in_path(byte):
    target = b"/a" + byte + b"zz"
    return get(first=b"GET " + target + b" HTTP/1.1"), Ask(target=target) if byte in PCHAR + b"/?" else None


def in_query(byte):
    target = b"/a?" + byte + b"zz"
    return get(first=b"GET " + target + b" HTTP/1.1"), Ask(target=target) if byte in QUERY else None


def in_escape(byte):
    target = b"/a%2" + byte
    return get(first=b"GET " + target + b" HTTP/1.1"), Ask(target=target) if byte in HEX else None


def first_of_target(byte):
    raw = get(first=b"GET " + byte + b"a HTTP/1.1")
    return raw, Ask(target=b"/a") if byte == b"/" else None


def in_version(byte):
    return get(first=b"GET /a HTTP/1." + byte), (
        Ask(minor=0 if byte == b"0" else 1) if byte in DIGITS else None)


def before_line(byte):
    raw = byte + get()
    return raw, Ask(byte + b"GET") if byte in TOKEN else None


def after_version(byte):
    return get(first=b"GET /a HTTP/1.1" + byte), None


def in_host(byte):
    host = b"a" + byte + b"zz.test"
    return b"GET /a HTTP/1.1\r\nHost: " + host + b"\r\n\r\n", (
        Ask(host=host.lower()) if byte in REG_NAME else None)


def in_host_of_target(byte):
    host = b"a" + byte + b"zz.test"
    if byte in b"/?":  # the host is "a"
        return get(first=b"GET http://" + host + b" HTTP/1.1"), Ask(
            target=(b"/?" if byte == b"?" else b"/") + b"zz.test", host=b"a")
    return get(first=b"GET http://" + host + b"/a HTTP/1.1"), (
        Ask(host=host.lower()) if byte in REG_NAME else None)


def in_port(byte):
    raw = b"GET /a HTTP/1.1\r\nHost: site.test:8" + byte + b"\r\n\r\n"
    if byte == b"0":
        return raw, Ask()
    return raw, (Ask(host=b"site.test:8" + byte.strip(BLANKS)) if byte in DIGITS + BLANKS else None)


def in_name(byte):
    """Only letters, digits and hyphens go on: see src/proxy/README.md. A colon ends the name."""
    raw = get(b"A" + byte + b"Z: 1")
    if byte == b":":
        return raw, Ask(fields=[(b"A", b"Z: 1")])
    plain = byte in ALNUM + b"-"
    return raw, Ask(fields=[(b"A" + byte + b"Z", b"1")] if plain else []) if byte in TOKEN else None


def first_of_name(byte):
    raw = get(byte + b"Z: 1")
    plain = byte in ALNUM + b"-"
    return raw, Ask(fields=[(byte + b"Z", b"1")] if plain else []) if byte in TOKEN else None


def before_colon(byte):
    raw = get(b"Ab" + byte + b": 1")
    if byte == b":":
        return raw, Ask(fields=[(b"Ab", b": 1")])
    plain = byte in ALNUM + b"-"
    return raw, Ask(fields=[(b"Ab" + byte, b"1")] if plain else []) if byte in TOKEN else None


def in_value(byte):
    return get(b"X: a" + byte + b"z"), Ask(fields=[(b"X", b"a" + byte + b"z")]) if byte in TEXT else None


def last_of_value(byte):
    value = (b"a" + byte).rstrip(BLANKS)
    return get(b"X: a" + byte), Ask(fields=[(b"X", value)]) if byte in TEXT else None


def before_length(byte):
    body = b"x" * (int(byte + b"5") if byte in DIGITS else 5)
    return post(b"Content-Length: " + byte + b"5", body=body), (
        Ask(b"POST", body=body, length=len(body)) if byte in DIGITS + BLANKS else None)


def after_length(byte):
    body = b"x" * (int(b"5" + byte) if byte in DIGITS else 5)
    return post(b"Content-Length: 5" + byte, body=body), (
        Ask(b"POST", body=body, length=len(body)) if byte in DIGITS + BLANKS else None)


def before_coding(byte):
    return post(b"Transfer-Encoding: " + byte + b"chunked", body=LAST), (
        Ask(b"POST", chunked=True) if byte in BLANKS else None)


def after_coding(byte):
    return post(b"Transfer-Encoding: chunked" + byte, body=LAST), (
        Ask(b"POST", chunked=True) if byte in BLANKS else None)


def before_size(byte):
    body = b"x" * (int(byte + b"5", 16) if byte in HEX else 5)
    return chunked(byte + b"5\r\n" + body + b"\r\n" + LAST), (
        Ask(b"POST", body=body, chunked=True) if byte in HEX else None)


def after_size(byte):
    body = b"x" * (int(b"5" + byte, 16) if byte in HEX else 5)
    return chunked(b"5" + byte + b"\r\n" + body + b"\r\n" + LAST), (
        Ask(b"POST", body=body, chunked=True) if byte in HEX else None)


def after_data(byte):
    return chunked(b"5\r\nhello" + byte + b"\n" + LAST), (
        Ask(b"POST", body=b"hello", chunked=True) if byte == b"\r" else None)


def after_last_size(byte):
    return chunked(b"0\r" + byte + b"\r\n"), Ask(b"POST", chunked=True) if byte == b"\n" else None


def in_extension(byte):
    return chunked(b"5;a" + byte + b"z\r\nhello\r\n" + LAST), (
        Ask(b"POST", body=b"hello", chunked=True) if byte in TOKEN + b";=" else None)


def in_quoted_extension(byte):
    return chunked(b'5;a="b' + byte + b'z"\r\nhello\r\n' + LAST), (
        Ask(b"POST", body=b"hello", chunked=True) if byte in TEXT and byte != b'"' else None)


def in_escaped_extension(byte):
    return chunked(b'5;a="\\' + byte + b'"\r\nhello\r\n' + LAST), (
        Ask(b"POST", body=b"hello", chunked=True) if byte in TEXT else None)


def in_trailer_name(byte):
    return chunked(b"0\r\nA" + byte + b"Z: 1\r\n\r\n"), (
        Ask(b"POST", chunked=True) if byte in TOKEN + b":" else None)


def in_trailer_value(byte):
    return chunked(b"0\r\nX: a" + byte + b"z\r\n\r\n"), Ask(b"POST", chunked=True) if byte in TEXT else None


def in_data(byte):
    body = b"a" + byte + b"z"
    return chunked(b"3\r\n" + body + b"\r\n" + LAST), Ask(b"POST", body=body, chunked=True)


PLACES = [
    ("RFC 9110 section 9.1: in a method", in_method),
    ("RFC 9112 section 2.2: before the request line", before_line),
    ("RFC 3986 section 3.3: in a path", in_path),
    ("RFC 3986 section 3.4: in a query", in_query),
    ("RFC 3986 section 2.1: in an escape", in_escape),
    ("RFC 9112 section 3.2: first of a target", first_of_target),
    ("RFC 9112 section 2.3: in a version", in_version),
    ("RFC 9112 section 3: after the version", after_version),
    ("RFC 9110 section 7.2: in Host", in_host),
    ("RFC 9112 section 3.2.2: in a target's host", in_host_of_target),
    ("RFC 3986 section 3.2.3: in a port", in_port),
    ("RFC 9110 section 5.1: in a name", in_name),
    ("RFC 9112 section 5.2: first of a name", first_of_name),
    ("RFC 9112 section 5.1: before the colon", before_colon),
    ("RFC 9110 section 5.5: in a value", in_value),
    ("RFC 9110 section 5.5: last of a value", last_of_value),
    ("RFC 9112 section 6.2: before a length", before_length),
    ("RFC 9112 section 6.2: after a length", after_length),
    ("RFC 9112 section 6.1: before chunked", before_coding),
    ("RFC 9112 section 6.1: after chunked", after_coding),
    ("RFC 9112 section 7.1: before a size", before_size),
    ("RFC 9112 section 7.1: after a size", after_size),
    ("RFC 9112 section 7.1: after the data", after_data),
    ("RFC 9112 section 7.1: after the last size", after_last_size),
    ("RFC 9112 section 7.1: in the data", in_data),
    ("RFC 9112 section 7.1.1: in an extension", in_extension),
    ("RFC 9110 section 5.6.4: in a quoted extension", in_quoted_extension),
    ("RFC 9110 section 5.6.4: escaped in an extension", in_escaped_extension),
    ("RFC 9112 section 7.1.2: in a trailer's name", in_trailer_name),
    ("RFC 9112 section 7.1.2: in a trailer's value", in_trailer_value),
]


def try_byte(stage, raw, ask):
    with Client(stage.edge.port) as client:
        client.send(raw if ask else raw + get(first=b"GET /smuggled HTTP/1.1"))
        if ask is None:
            check_refusal(client, refused("", "", 400, raw))
            return
        read_answers(client, [ask])
        stage.expect([ask])
        if ask.minor == 1:
            check_kept(stage, client)


@pytest.mark.parametrize("place", [place for _, place in PLACES], ids=[name for name, _ in PLACES])
def test_every_byte(stage, place):
    for code in range(256):
        raw, ask = place(bytes([code]))
        try:
            try_byte(stage, raw, ask)
            stage.check_bystander()
        except Exception as fault:
            stage.resume()
            raise AssertionError(f"byte {code:#04x} in {raw!r}: {fault!r}") from fault
