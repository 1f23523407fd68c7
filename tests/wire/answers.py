"""Raw answers of origins, for strict_responses_test: what is sent, and what must come of it.

Each id begins with the section of the RFC it is about (9110, 9111, 9112; 6585 and others in full).
Where nothing else is said the request is a plain GET that may be stored and shared.
"""

from dataclasses import dataclass, field

FRESH = b"Cache-Control: max-age=600"
LENGTH = b"Content-Length: 5"
CHUNKED = b"Transfer-Encoding: chunked"
OK = b"HTTP/1.1 200 OK"
BODY = b"hello"
LAST = b"0\r\n\r\n"
PASS = {"If-Match": "*"}  # only the origin can judge it: passed on as it came


@dataclass(frozen=True)
class Answer:
    """`kind`: the counter that rises. `end`: what the origin does then: keep, close or reset."""
    id: str
    raw: bytes
    kind: str = "origin_refused_syntax"
    end: str = "keep"
    method: str = "GET"
    fields: dict = field(default_factory=dict)

    @property
    def shared(self):
        """Others wait for the same answer."""
        return self.method == "GET" and not self.fields


@dataclass(frozen=True)
class Good:
    """An answer that reaches the client. `kept`: the connection is used again. `stored`: the next
    request is answered without the origin."""
    id: str
    raw: bytes
    body: bytes = BODY
    status: int = 200
    kept: bool = True
    stored: bool = True
    end: str = "keep"
    method: str = "GET"
    fields: dict = field(default_factory=dict)
    interim: int = 0


def head(*lines):
    return b"\r\n".join(lines) + b"\r\n\r\n"


def with_line(line):
    return head(line, FRESH, LENGTH) + BODY


def with_field(*lines):
    return head(OK, FRESH, *lines, LENGTH) + BODY


def framed(*lines, body=BODY, line=OK):
    return head(line, FRESH, *lines) + body


def chunks(body):
    return framed(CHUNKED, body=body)


# --- the status line

STATUS_LINES = [
    ("9112-4: nothing but an empty line", b""),
    ("9112-4: SSH", b"SSH-2.0-OpenSSH_9.2"),
    ("9112-4: SMTP", b"220 mail.test ESMTP"),
    ("9112-4: FTP with a code of its own", b"200-welcome"),
    ("9112-4: ICY", b"ICY 200 OK"),
    ("9112-4: RTSP", b"RTSP/1.0 200 OK"),
    ("9112-4: HTTPS as a name", b"HTTPS/1.1 200 OK"),
    ("9112-4: a request", b"GET / HTTP/1.1"),
    ("9112-4: a page without a head", b"<html><body>hello</body></html>"),
    ("9112-4: JSON", b'{"status": 200}'),
    ("9112-4: a CGI head", b"Status: 200 OK"),
    ("9112-4: a field first", b"Server: x"),
    ("9112-4: a byte order mark", b"\xef\xbb\xbfHTTP/1.1 200 OK"),
    ("9112-4: no version", b"200 OK"),
    ("9112-4: version alone", b"HTTP/1.1"),
    ("9112-4: version and a space", b"HTTP/1.1 "),
    ("9112-4: name alone", b"HTTP"),
    ("9112-4: name and slash", b"HTTP/"),
    ("9112-4: no space after the code", b"HTTP/1.1 200"),
    ("9112-4: two spaces before the code", b"HTTP/1.1  200 OK"),
    ("9112-4: a tab before the code", b"HTTP/1.1\t200 OK"),
    ("9112-4: a tab after the code", b"HTTP/1.1 200\tOK"),
    ("9112-4: a space in front", b" HTTP/1.1 200 OK"),
    ("9112-4: a tab in front", b"\tHTTP/1.1 200 OK"),
    ("9112-4: reason against the code", b"HTTP/1.1 200OK"),
    ("9112-4: code after the reason", b"HTTP/1.1 OK 200"),
    ("9112-4: no code", b"HTTP/1.1 OK"),
    ("9112-4: one digit", b"HTTP/1.1 2 OK"),
    ("9112-4: two digits", b"HTTP/1.1 20 OK"),
    ("9112-4: four digits", b"HTTP/1.1 2000 OK"),
    ("9112-4: letters in the code", b"HTTP/1.1 2xx OK"),
    ("9112-4: hexadecimal code", b"HTTP/1.1 0xc8 OK"),
    ("9112-4: a plus sign", b"HTTP/1.1 +20 OK"),
    ("9112-4: a minus sign", b"HTTP/1.1 -20 OK"),
    ("9112-4: a blank in the code", b"HTTP/1.1 2 0 OK"),
    ("9112-4: a fraction", b"HTTP/1.1 200.1 OK"),
    ("9112-4: digits of another script", "HTTP/1.1 ２００ OK".encode()),
    ("9112-2.3: lower case", b"http/1.1 200 OK"),
    ("9112-2.3: mixed case", b"Http/1.1 200 OK"),
    ("9112-2.3: a comma in the version", b"HTTP/1,1 200 OK"),
    ("9112-2.3: no dot", b"HTTP/11 200 OK"),
    ("9112-2.3: no minor", b"HTTP/1 200 OK"),
    ("9112-2.3: an empty minor", b"HTTP/1. 200 OK"),
    ("9112-2.3: an empty major", b"HTTP/.1 200 OK"),
    ("9112-2.3: a zero in front", b"HTTP/01.1 200 OK"),
    ("9112-2.3: two digits of a minor", b"HTTP/1.10 200 OK"),
    ("9112-2.3: three numbers", b"HTTP/1.1.1 200 OK"),
    ("9112-2.3: a blank before the slash", b"HTTP /1.1 200 OK"),
    ("9112-2.3: a blank after the slash", b"HTTP/ 1.1 200 OK"),
    ("9112-2.3: HTTP/0.9", b"HTTP/0.9 200 OK"),
    ("9112-2.3: HTTP/2", b"HTTP/2 200 OK"),
    ("9112-2.3: HTTP/2.0", b"HTTP/2.0 200 OK"),
    ("9112-2.3: HTTP/3.0", b"HTTP/3.0 200 OK"),
    ("9112-2.3: HTTP/9.9", b"HTTP/9.9 200 OK"),
    ("9110-15: status 000", b"HTTP/1.1 000 OK"),
    ("9110-15: status 001", b"HTTP/1.1 001 OK"),
    ("9110-15: status 099", b"HTTP/1.1 099 OK"),
    ("9110-15: status 600", b"HTTP/1.1 600 OK"),
    ("9110-15: status 666", b"HTTP/1.1 666 OK"),
    ("9110-15: status 999", b"HTTP/1.1 999 OK"),
]

# --- line ends

LINE_ENDS = [
    ("9112-2.2: LF alone everywhere", b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"),
    ("9112-2.2: LF after the status line", b"HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\nhello"),
    ("9112-2.2: LF after a field", OK + b"\r\nX: y\nContent-Length: 5\r\n\r\nhello"),
    ("9112-2.2: LF after the last field", OK + b"\r\nContent-Length: 5\n\r\nhello"),
    ("9112-2.2: LF as the empty line", OK + b"\r\nContent-Length: 5\r\n\nhello"),
    ("9112-2.2: CR alone everywhere", b"HTTP/1.1 200 OK\rContent-Length: 5\r\rhello"),
    ("9112-2.2: CR after the status line", OK + b"\rContent-Length: 5\r\n\r\nhello"),
    ("9112-2.2: CR after a field", OK + b"\r\nX: y\rContent-Length: 5\r\n\r\nhello"),
    ("9112-2.2: CR as the empty line", OK + b"\r\nContent-Length: 5\r\n\rhello\r\n\r\n"),
    ("9112-2.2: CR CR LF", OK + b"\r\r\nContent-Length: 5\r\n\r\nhello"),
    ("9112-2.2: CR CR LF at the end", OK + b"\r\nContent-Length: 5\r\n\r\r\nhello"),
    ("9112-2.2: LF CR", OK + b"\n\rContent-Length: 5\n\r\n\rhello"),
    ("9112-2.2: an empty line in front", b"\r\n" + with_line(OK)),
    ("9112-2.2: two empty lines in front", b"\r\n\r\n" + with_line(OK)),
    ("9112-2.2: LF in front", b"\n" + with_line(OK)),
    ("9112-2.2: CR in front", b"\r" + with_line(OK)),
    ("9112-2.2: NUL in front", b"\0" + with_line(OK)),
    ("9113-3.4: a frame of HTTP/2", b"\0\0\x12\4\0\0\0\0\0\0\3\0\0\0\x80\0\4\0\1\0\0\0\5\0\xff\xff\xff"),
    ("8446-5.1: an alert of TLS", b"\x15\3\1\0\2\2\x46"),
]

# --- fields

SEPARATORS = [("parenthesis", b"("), ("closing parenthesis", b")"), ("less", b"<"), ("greater", b">"),
              ("at", b"@"), ("comma", b","), ("semicolon", b";"), ("backslash", b"\\"),
              ("quote", b'"'), ("slash", b"/"), ("bracket", b"["), ("closing bracket", b"]"),
              ("question mark", b"?"), ("equals", b"="), ("brace", b"{"), ("closing brace", b"}")]

FIELDS = [
    ("9112-5.1: a blank before the colon", b"X-A : b"),
    ("9112-5.1: a tab before the colon", b"X-A\t: b"),
    ("9112-5.1: a blank before the colon of Content-Length", b"Content-Length : 5"),
    ("9112-5.1: a blank before the colon of Transfer-Encoding", b"Transfer-Encoding : chunked"),
    ("9112-5.2: folded by a space", b"X-A: b\r\n c"),
    ("9112-5.2: folded by a tab", b"X-A: b\r\n\tc"),
    ("9112-5.2: folded to an empty line", b"X-A: b\r\n \r\nX-B: c"),
    ("9112-5.2: Content-Length in a fold", b"X-A: b\r\n Content-Length: 6"),
    ("9112-5: no colon", b"X-A"),
    ("9112-5: no colon but a value", b"X-A b"),
    ("9112-5: no name", b": b"),
    ("9112-5: a colon alone", b":"),
    ("9112-5: a blank in the name", b"X A: b"),
    ("9112-5: a blank as name", b" : b"),
    ("9112-5: a second status line", b"HTTP/1.1 200 OK"),
    ("9110-5.1: a byte above 127 in the name", b"X-\xe4: b"),
    ("9110-5.1: NUL in the name", b"X-\0A: b"),
    ("9110-5.1: DEL in the name", b"X-\x7fA: b"),
    ("9110-5.5: NUL in the value", b"X-A: b\0c"),
    ("9110-5.5: CR in the value", b"X-A: b\rc"),
    ("9110-5.5: CR before a length", b"X-A: b\rContent-Length: 9"),
    ("9110-5.5: a backspace in the value", b"X-A: b\bc"),
    ("9110-5.5: an escape in the value", b"X-A: \x1b[2J"),
    ("9110-5.5: a vertical tab", b"X-A: b\vc"),
    ("9110-5.5: a form feed", b"X-A: b\fc"),
    ("9110-5.5: DEL in the value", b"X-A: b\x7f"),
    ("9110-7.6.1: Connection with a blank in a name", b"Connection: a b"),
    ("9110-7.6.1: Connection with no token", b"Connection: @"),
    ("9110-7.6.1: Connection in quotes", b'Connection: "close"'),
    ("9110-7.6.1: Connection with 65 names", b"Connection: " + b",".join([b"x"] * 65)),
]
FIELDS += [(f"9110-5.1: a {what} in the name", b"X" + byte + b"Y: b") for what, byte in SEPARATORS]

# --- framing

LENGTHS = [
    ("twice the same", b"Content-Length: 5\r\nContent-Length: 5"),
    ("twice the same in other letters", b"Content-Length: 5\r\ncontent-length: 5"),
    ("two lengths", b"Content-Length: 5\r\nContent-Length: 6"),
    ("two lengths, apart", b"Content-Length: 5\r\nX: y\r\nContent-Length: 4"),
    ("three lengths", b"Content-Length: 5\r\nContent-Length: 5\r\nContent-Length: 5"),
    ("a list of the same", b"Content-Length: 5, 5"),
    ("a list of two", b"Content-Length: 5,6"),
    ("a list with an empty member", b"Content-Length: 5,"),
    ("two numbers", b"Content-Length: 5 5"),
    ("empty", b"Content-Length:"),
    ("blank", b"Content-Length:  "),
    ("a plus sign", b"Content-Length: +5"),
    ("a minus sign", b"Content-Length: -5"),
    ("a minus zero", b"Content-Length: -0"),
    ("letters", b"Content-Length: five"),
    ("a letter behind", b"Content-Length: 5x"),
    ("a semicolon behind", b"Content-Length: 5;"),
    ("hexadecimal", b"Content-Length: 0x5"),
    ("a fraction", b"Content-Length: 5.0"),
    ("an exponent", b"Content-Length: 5e0"),
    ("an underscore", b"Content-Length: 1_0"),
    ("quotes", b'Content-Length: "5"'),
    ("digits of another script", "Content-Length: ５".encode()),
    ("2^64", b"Content-Length: 18446744073709551616"),
    ("2^64 + 5", b"Content-Length: 18446744073709551621"),
    ("twenty nines", b"Content-Length: 99999999999999999999"),
    ("a hundred digits", b"Content-Length: " + b"1" * 100),
]

CODINGS = [
    ("gzip", b"gzip"),
    ("identity", b"identity"),
    ("deflate", b"deflate"),
    ("compress", b"compress"),
    ("gzip before chunked", b"gzip, chunked"),
    ("br before chunked", b"br, chunked"),
    ("identity before chunked", b"identity, chunked"),
    ("chunked before gzip", b"chunked, gzip"),
    ("chunked before identity", b"chunked, identity"),
    ("chunked twice in a list", b"chunked, chunked"),
    ("chunked with a parameter", b"chunked;q=1"),
    ("chunked with a semicolon", b"chunked;"),
    ("chunked in quotes", b'"chunked"'),
    ("almost chunked", b"xchunked"),
    ("almost chunked, behind", b"chunkedx"),
    ("chunked in two words", b"chun ked"),
    ("an empty member behind", b"chunked,"),
    ("an empty member before", b", chunked"),
    ("empty", b""),
    ("a comma", b","),
    ("a letter beyond ASCII", "chunĸed".encode()),
]

BOTH = [
    ("9112-6.3: length, then chunked", framed(LENGTH, CHUNKED, body=LAST)),
    ("9112-6.3: chunked, then length", framed(CHUNKED, LENGTH, body=LAST)),
    ("9112-6.3: chunked and a length of 0", framed(CHUNKED, b"Content-Length: 0", body=LAST)),
    ("9112-6.3: chunked and no number", framed(CHUNKED, b"Content-Length: x", body=LAST)),
    ("9112-6.3: another coding and a length", framed(b"Transfer-Encoding: gzip", LENGTH)),
    ("9112-6.3: an empty coding and a length", framed(b"Transfer-Encoding:", LENGTH)),
    ("9112-6.1: chunked in two fields", framed(CHUNKED, CHUNKED, body=LAST)),
    ("9112-6.1: gzip and chunked in two fields",
     framed(b"Transfer-Encoding: gzip", CHUNKED, body=LAST)),
    ("9112-6.1: chunked and identity in two fields",
     framed(CHUNKED, b"Transfer-Encoding: identity", body=LAST)),
    ("9112-6.1: chunked in HTTP/1.0", framed(CHUNKED, body=LAST, line=b"HTTP/1.0 200 OK")),
    ("9112-6.1: chunked and a length in HTTP/1.0",
     framed(CHUNKED, LENGTH, body=LAST, line=b"HTTP/1.0 200 OK")),
    ("9112-6.1: chunked in 204", framed(CHUNKED, body=LAST, line=b"HTTP/1.1 204 No Content")),
    ("9110-8.6: a length in 204", framed(LENGTH, line=b"HTTP/1.1 204 No Content")),
    ("9112-6.1: chunked in 103", framed(CHUNKED, body=LAST, line=b"HTTP/1.1 103 Hints")),
    ("9112-6.1: chunked in 100", framed(CHUNKED, body=LAST, line=b"HTTP/1.1 100 Continue")),
    ("9110-8.6: a length in 103", framed(LENGTH, line=b"HTTP/1.1 103 Hints")),
    ("9110-8.6: a length in 100", framed(LENGTH, line=b"HTTP/1.1 100 Continue")),
    ("9110-8.6: a length in 102", framed(LENGTH, line=b"HTTP/1.1 102 Processing")),
    ("9110-8.6: two lengths in 404",
     framed(LENGTH, LENGTH, line=b"HTTP/1.1 404 Not Found")),
]

# --- bytes behind a response that is whole

AFTER = [
    ("a response behind a length", with_line(OK) + with_line(OK)),
    ("a byte behind a length", with_line(OK) + b"!"),
    ("CRLF behind a length", with_line(OK) + b"\r\n"),
    ("LF behind a length", with_line(OK) + b"\n"),
    ("NUL behind a length", with_line(OK) + b"\0"),
    ("a response behind a length of 0", framed(b"Content-Length: 0", body=b"") + with_line(OK)),
    ("a response behind a split head",
     head(OK, FRESH, b"Location: /x", b"Content-Length: 0") + b"X: y\r\n" + with_line(OK)),
    ("a response behind the last chunk", chunks(b"5\r\nhello\r\n" + LAST) + with_line(OK)),
    ("a byte behind the last chunk", chunks(LAST) + b"!"),
    ("CRLF behind the last chunk", chunks(LAST) + b"\r\n"),
    ("a second last chunk", chunks(LAST + LAST)),
    ("a response behind 204", head(b"HTTP/1.1 204 No Content", FRESH) + with_line(OK)),
    ("a body behind 204", head(b"HTTP/1.1 204 No Content", FRESH) + BODY),
    ("a response behind Connection: close", framed(b"Connection: close", LENGTH) + with_line(OK)),
    ("a response behind HTTP/1.0", with_line(b"HTTP/1.0 200 OK") + with_line(OK)),
    ("a response behind 404", with_line(b"HTTP/1.1 404 Not Found") + with_line(OK)),
    ("a 100 behind a length", with_line(OK) + b"HTTP/1.1 100 Continue\r\n\r\n"),
]

# --- chunks: the head is good, so a client may see it and a visibly cut body

BAD_CHUNKS = [
    ("7.1: size not hexadecimal", b"g\r\nhello\r\n" + LAST),
    ("7.1: no size", b"\r\nhello\r\n" + LAST),
    ("7.1: 0x before the size", b"0x5\r\nhello\r\n" + LAST),
    ("7.1: an h behind the size", b"5h\r\nhello\r\n" + LAST),
    ("7.1: a minus sign", b"-5\r\nhello\r\n" + LAST),
    ("7.1: a plus sign", b"+5\r\nhello\r\n" + LAST),
    ("7.1: a blank before the size", b" 5\r\nhello\r\n" + LAST),
    ("7.1: a blank behind the size", b"5 \r\nhello\r\n" + LAST),
    ("7.1: a tab behind the size", b"5\t\r\nhello\r\n" + LAST),
    ("7.1: quotes", b'"5"\r\nhello\r\n' + LAST),
    ("7.1: a comma", b"5,5\r\nhello\r\n" + LAST),
    ("7.1: an underscore", b"0_5\r\nhello\r\n" + LAST),
    ("7.1: digits of another script", "５\r\nhello\r\n".encode() + LAST),
    ("7.1: beyond 64 bits", b"10000000000000005\r\nhello\r\n" + LAST),
    ("7.1: a hundred zeros", b"0" * 100 + b"5\r\nhello\r\n" + LAST),
    ("7.1: LF behind the size", b"5\nhello\r\n" + LAST),
    ("7.1: CR behind the size", b"5\rhello\r\n" + LAST),
    ("7.1: CR CR LF behind the size", b"5\r\r\nhello\r\n" + LAST),
    ("7.1: LF CR behind the size", b"5\n\rhello\r\n" + LAST),
    ("7.1: NUL behind the size", b"5\0\r\nhello\r\n" + LAST),
    ("7.1: nothing behind the data", b"5\r\nhello" + LAST),
    ("7.1: more data than said", b"5\r\nhello!\r\n" + LAST),
    ("7.1: less data than said", b"5\r\nhell\r\n" + LAST),
    ("7.1: LF behind the data", b"5\r\nhello\n" + LAST),
    ("7.1: CR behind the data", b"5\r\nhello\r" + LAST),
    ("7.1: two CRLF behind the data", b"5\r\nhello\r\n\r\n" + LAST),
    ("7.1: a body without chunks", b"hello"),
    ("7.1: a response instead of a chunk", b"5\r\nhello\r\n" + with_line(OK)),
    ("7.1: LF behind the last chunk", b"5\r\nhello\r\n0\n\r\n"),
    ("7.1: LF as the last line", b"5\r\nhello\r\n0\r\n\n"),
    ("7.1: CR as the last line", b"5\r\nhello\r\n0\r\n\r\r"),
    ("7.1.1: an extension without a name", b"5;\r\nhello\r\n" + LAST),
    ("7.1.1: a blank in the name", b"5;a b\r\nhello\r\n" + LAST),
    ("7.1.1: a blank behind the last extension", b"5;a \r\nhello\r\n" + LAST),
    ("7.1.1: no value", b"5;a=\r\nhello\r\n" + LAST),
    ("7.1.1: an open quote", b'5;a="b\r\nhello\r\n' + LAST),
    ("7.1.1: a byte behind the quote", b'5;a="b"c\r\nhello\r\n' + LAST),
    ("7.1.1: CR in a quote", b'5;a="b\rc"\r\nhello\r\n' + LAST),
    ("7.1.1: LF in a quote", b'5;a="b\nc"\r\nhello\r\n' + LAST),
    ("7.1.1: NUL in a name", b"5;a\0b\r\nhello\r\n" + LAST),
    ("7.1.1: CR in a name", b"5;a\rb\r\nhello\r\n" + LAST),
    ("7.1.1: LF in a name", b"5;a\nb\r\nhello\r\n" + LAST),
    ("7.1.2: a trailer without a colon", b"5\r\nhello\r\n0\r\nX\r\n\r\n"),
    ("7.1.2: a trailer without a name", b"5\r\nhello\r\n0\r\n: y\r\n\r\n"),
    ("7.1.2: a blank before the colon", b"5\r\nhello\r\n0\r\nX : y\r\n\r\n"),
    ("7.1.2: a folded trailer", b"5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n"),
    ("7.1.2: NUL in a trailer", b"5\r\nhello\r\n0\r\nX: \0\r\n\r\n"),
    ("7.1.2: CR in a trailer", b"5\r\nhello\r\n0\r\nX: a\rb\r\n\r\n"),
    ("7.1.2: LF behind a trailer", b"5\r\nhello\r\n0\r\nX: y\n\r\n"),
    ("7.1.2: DEL in a trailer", b"5\r\nhello\r\n0\r\nX: \x7f\r\n\r\n"),
]

LONG_CHUNKS = [
    ("7.1.1: a long line", b"5;a=" + b"x" * 5000 + b"\r\nhello\r\n" + LAST),
    ("7.1.1: many long lines", (b"1;a=" + b"x" * 900 + b"\r\nh\r\n") * 40 + LAST),
    ("7.1.2: a long trailer", b"5\r\nhello\r\n0\r\nX: " + b"y" * 9000 + b"\r\n\r\n"),
    ("7.1.2: trailers without end", b"5\r\nhello\r\n0\r\n" + b"X: y\r\n" * 5000),
]

# --- ends before the end; each by a close and by a reset

TRUNCATED = [
    ("9112-8: no byte", b""),
    ("9112-8: one byte", b"H"),
    ("9112-8: half a status line", b"HTTP/1.1 20"),
    ("9112-8: a status line", OK + b"\r\n"),
    ("9112-8: in a field", OK + b"\r\nContent-Len"),
    ("9112-8: before the empty line", OK + b"\r\nContent-Length: 5\r\n"),
    ("9112-8: in the empty line", OK + b"\r\nContent-Length: 5\r\n\r"),
    ("9112-8: after a 100", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ("9112-8: after a 103", b"HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\n"),
    ("9112-8: after a 100 and half a head", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200"),
]
TRUNCATED_BODIES = [
    ("9112-8: no byte of a length", framed(LENGTH, body=b"")),
    ("9112-8: one byte of a length", framed(LENGTH, body=b"h")),
    ("9112-8: all but one byte of a length", framed(LENGTH, body=b"hell")),
    ("9112-8: a length in a 404", framed(LENGTH, body=b"h", line=b"HTTP/1.1 404 Not Found")),
    ("9112-8: no chunk", chunks(b"")),
    ("9112-8: in a size", chunks(b"5")),
    ("9112-8: in the end of a size", chunks(b"5\r")),
    ("9112-8: before a chunk's data", chunks(b"5\r\n")),
    ("9112-8: in a chunk", chunks(b"5\r\nhel")),
    ("9112-8: behind a chunk's data", chunks(b"5\r\nhello")),
    ("9112-8: in the end of a chunk", chunks(b"5\r\nhello\r")),
    ("9112-8: before the last chunk", chunks(b"5\r\nhello\r\n")),
    ("9112-8: in the last chunk", chunks(b"5\r\nhello\r\n0")),
    ("9112-8: behind the last chunk's size", chunks(b"5\r\nhello\r\n0\r\n")),
    ("9112-8: in the last line", chunks(b"5\r\nhello\r\n0\r\n\r")),
    ("9112-8: in an extension", chunks(b"5;a=b")),
    ("9112-8: in a trailer", chunks(b"5\r\nhello\r\n0\r\nX: ")),
    ("9112-8: behind a trailer", chunks(b"5\r\nhello\r\n0\r\nX: y\r\n")),
    ("9112-8: in a chunk of 2^60", chunks(b"1000000000000000\r\nhello")),
    ("9112-8: in a chunk of 2^64 - 1", chunks(b"ffffffffffffffff\r\nhello")),
]

# Too large to be stored, so nobody shares them.
TRUNCATED_GIANTS = [
    ("9112-8: a length of 2^64 - 1", framed(b"Content-Length: 18446744073709551615")),
    ("9112-8: a length of 2^63", framed(b"Content-Length: 9223372036854775808")),
    ("9112-8: a length of a gigabyte", framed(b"Content-Length: 1000000000", body=b"x" * 100000)),
]

# --- limits

HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
LIMITS = [
    ("9112-4: a status line of 9 KB", with_line(b"HTTP/1.1 200 " + b"x" * 9000)),
    ("9112-4: a status line without end", b"HTTP/1.1 200 " + b"x" * 20000),
    ("9112-2.2: a line that is no status line, without end", b"x" * 20000),
    ("9110-5.4: 151 fields", with_field(*[b"X: y"] * 149)),
    ("9110-5.4: 1,000 fields", with_field(*[b"X-%d: y" % i for i in range(1000)])),
    ("9110-5.4: a field of 70 KB", with_field(b"X: " + b"y" * 70000)),
    ("9110-5.4: a name of 70 KB", with_field(b"X" * 70000 + b": y")),
    ("9110-5.4: a head of 70 KB", with_field(*[b"X-%d: " % i + b"y" * 1000 for i in range(70)])),
    ("9110-5.4: a head without end", OK + b"\r\n" + (b"X: " + b"y" * 990 + b"\r\n") * 100),
    ("9110-5.4: a field without end", OK + b"\r\nX: " + b"y" * 100000),
    ("9110-15.2: 21 interim responses", HINTS * 21 + with_line(OK)),
    ("9110-15.2: 500 times 100", b"HTTP/1.1 100 Continue\r\n\r\n" * 500),
    ("9110-15.2: 100 and 103 in turn", (b"HTTP/1.1 100 Continue\r\n\r\n" + HINTS) * 11),
    ("9110-15.2: an interim response of 70 KB",
     head(b"HTTP/1.1 103 Hints", b"X: " + b"y" * 70000) + with_line(OK)),
]

# --- what nobody asked for

PART = b"Content-Range: bytes 0-4/10"
RANGED = {**PASS, "Range": "bytes=0-4"}


def part(*lines, body=BODY):
    return head(b"HTTP/1.1 206 Partial Content", *lines) + body


UNASKED = [
    ("9110-15.3.7: 206 to GET", part(FRESH, PART, LENGTH), "GET", {}),
    ("9110-15.3.7: 206 of the whole to GET",
     part(FRESH, b"Content-Range: bytes 0-4/5", LENGTH), "GET", {}),
    ("9110-15.3.7: 206 in chunks to GET",
     part(FRESH, PART, CHUNKED, body=b"5\r\nhello\r\n" + LAST), "GET", {}),
    ("9110-15.3.7: 206 in parts to GET",
     part(FRESH, b"Content-Type: multipart/byteranges; boundary=x", LENGTH), "GET", {}),
    ("9110-15.3.7: 206 where the Range did not go on", part(FRESH, PART, LENGTH), "GET",
     {"Range": "bytes=0-4"}),
    ("9110-15.3.7: 206 to HEAD", part(PART, LENGTH, body=b""), "HEAD", {}),
    ("9110-14.2: 206 to POST", part(PART, LENGTH), "POST", {"Range": "bytes=0-4"}),
    ("9110-14.2: 206 to a condition", part(PART, LENGTH), "GET", PASS),
    ("9110-15.4.5: 304 to GET", head(b"HTTP/1.1 304 Not Modified", b'ETag: "a"'), "GET", {}),
    ("9110-15.4.5: 304 where the condition did not go on",
     head(b"HTTP/1.1 304 Not Modified", b'ETag: "a"'), "GET", {"If-None-Match": '"a"'}),
    ("9110-15.4.5: 304 to HEAD", head(b"HTTP/1.1 304 Not Modified"), "HEAD", {}),
    ("9110-15.4.5: 304 to POST", head(b"HTTP/1.1 304 Not Modified"), "POST",
     {"If-None-Match": '"a"'}),
    ("9110-15.4.5: 304 to If-Match", head(b"HTTP/1.1 304 Not Modified"), "GET", PASS),
    ("9110-15.5.13: 412 to GET", framed(LENGTH, line=b"HTTP/1.1 412 Failed"), "GET", {}),
    ("9110-15.5.13: 412 to HEAD",
     framed(LENGTH, line=b"HTTP/1.1 412 Failed", body=b""), "HEAD", {}),
    ("9110-15.5.13: 412 to POST", framed(LENGTH, line=b"HTTP/1.1 412 Failed"), "POST", {}),
    ("9110-13.1.2: 412 to GET with If-None-Match", framed(LENGTH, line=b"HTTP/1.1 412 Failed"),
     "GET", {"If-None-Match": '"a"'}),
    ("9110-15.5.17: 416 to GET", framed(LENGTH, line=b"HTTP/1.1 416 Range"), "GET", {}),
    ("9110-15.5.17: 416 where the Range did not go on",
     framed(LENGTH, line=b"HTTP/1.1 416 Range"), "GET", {"Range": "bytes=99-"}),
    ("9110-15.5.17: 416 to HEAD", framed(LENGTH, line=b"HTTP/1.1 416 Range", body=b""), "HEAD", {}),
    ("9110-15.5.17: 416 to POST", framed(LENGTH, line=b"HTTP/1.1 416 Range"), "POST",
     {"Range": "bytes=99-"}),
    ("9110-15.2.2: 101 to GET", head(b"HTTP/1.1 101 Switching"), "GET", {}),
    ("9110-15.2.2: 101 to websocket",
     head(b"HTTP/1.1 101 Switching", b"Connection: upgrade", b"Upgrade: websocket"), "GET", {}),
    ("9110-15.2.2: 101 to h2c",
     head(b"HTTP/1.1 101 Switching", b"Connection: upgrade", b"Upgrade: h2c"), "GET", {}),
    ("9110-15.2.2: 101 behind a 100",
     b"HTTP/1.1 100 Continue\r\n\r\n" + head(b"HTTP/1.1 101 Switching"), "GET", {}),
    ("9110-15.2.2: 101 to POST", head(b"HTTP/1.1 101 Switching"), "POST", {}),
    ("9110-15.2.2: 101 to HEAD", head(b"HTTP/1.1 101 Switching"), "HEAD", {}),
    ("9110-15.3.7: another range", part(b"Content-Range: bytes 5-9/10", LENGTH), "GET", RANGED),
    ("9110-15.3.7: a longer range",
     part(b"Content-Range: bytes 0-5/10", b"Content-Length: 6", body=b"hello!"), "GET", RANGED),
    ("9110-15.3.7: another unit", part(b"Content-Range: lines 0-4/10", LENGTH), "GET", RANGED),
    ("9110-15.3.7.2: parts for one range",
     part(b"Content-Type: multipart/byteranges; boundary=x", LENGTH), "GET", RANGED),
]

BAD_PARTS = [
    ("9110-15.3.7.1: no Content-Range", part(LENGTH), "origin_refused_syntax"),
    ("9110-15.3.7.1: two of them", part(PART, PART, LENGTH), "origin_refused_syntax"),
    ("9110-14.4: no numbers", part(b"Content-Range: bytes x-y/z", LENGTH), "origin_refused_syntax"),
    ("9110-14.4: backwards", part(b"Content-Range: bytes 4-0/10", LENGTH), "origin_refused_syntax"),
    ("9110-14.4: behind the whole", part(b"Content-Range: bytes 0-4/4", LENGTH),
     "origin_refused_syntax"),
    ("9110-14.4: unsatisfied", part(b"Content-Range: bytes */10", LENGTH), "origin_refused_syntax"),
    ("9110-14.4: no unit", part(b"Content-Range: 0-4/10", LENGTH), "origin_refused_syntax"),
    ("9110-14.4: an equals sign", part(b"Content-Range: bytes=0-4/10", LENGTH),
     "origin_refused_syntax"),
    ("9110-14.4: no whole", part(b"Content-Range: bytes 0-4", LENGTH), "origin_refused_syntax"),
    ("9110-14.4: beyond 64 bits", part(b"Content-Range: bytes 0-18446744073709551616/*", LENGTH),
     "origin_refused_syntax"),
    ("9110-15.3.7.1: a shorter length", part(PART, b"Content-Length: 4", body=b"hell"),
     "origin_refused_framing"),
    ("9110-15.3.7.1: a longer length", part(PART, b"Content-Length: 6", body=b"hello!"),
     "origin_refused_framing"),
]
# Their length shows at the end only, when the head may be out.
BAD_PART_BODIES = [
    ("9110-15.3.7.1: fewer bytes in chunks", part(PART, CHUNKED, body=b"4\r\nhell\r\n" + LAST), "keep"),
    ("9110-15.3.7.1: more bytes in chunks", part(PART, CHUNKED, body=b"6\r\nhello!\r\n" + LAST), "keep"),
    ("9110-15.3.7.1: no bytes in chunks", part(PART, CHUNKED, body=LAST), "keep"),
    ("9110-15.3.7.1: fewer bytes until the end", part(PART, body=b"hell"), "close"),
    ("9110-15.3.7.1: more bytes until the end", part(PART, body=b"hello!"), "close"),
]

REFUSED = (
    [Answer(name, with_line(line)) for name, line in STATUS_LINES]
    + [Answer(name, raw) for name, raw in LINE_ENDS]
    + [Answer(name, with_field(line)) for name, line in FIELDS]
    + [Answer(f"9110-8.6: Content-Length, {name}", framed(lines), "origin_refused_framing")
       for name, lines in LENGTHS]
    + [Answer(f"9112-6.1: Transfer-Encoding, {name}",
              framed(b"Transfer-Encoding: " + coding, body=b"5\r\nhello\r\n" + LAST),
              "origin_refused_framing") for name, coding in CODINGS]
    + [Answer(name, raw, "origin_refused_framing") for name, raw in BOTH]
    + [Answer(f"9112-6.3: {name}", raw, "origin_refused_framing") for name, raw in AFTER]
    + [Answer("9112-6.3: a body behind an answer to HEAD", with_line(OK), "origin_refused_framing",
              method="HEAD"),
       Answer("9112-6.3: chunks behind an answer to HEAD", chunks(b"5\r\nhello\r\n" + LAST),
              "origin_refused_framing", method="HEAD"),
       Answer("9110-8.6: two lengths to HEAD", framed(LENGTH, LENGTH, body=b""),
              "origin_refused_framing", method="HEAD"),
       Answer("9112-6.3: a response behind one to POST", with_line(OK) * 2,
              "origin_refused_framing", method="POST")]
    + [Answer(f"{name}, {end}", raw, "origin_closed_early", end)
       for name, raw in TRUNCATED for end in ("close", "reset")]
    + [Answer(name, raw, "origin_refused_limit") for name, raw in LIMITS]
    + [Answer(name, raw, "origin_refused_unasked", method=method, fields=fields)
       for name, raw, method, fields in UNASKED]
    + [Answer(name, raw, kind, fields=RANGED) for name, raw, kind in BAD_PARTS]
)

CUT = (
    [Answer(f"9112-{name}", chunks(body), "origin_refused_framing") for name, body in BAD_CHUNKS]
    + [Answer(f"9112-{name}", chunks(body), "origin_refused_limit") for name, body in LONG_CHUNKS]
    + [Answer(f"9112-{name}, unstorable",
              head(OK, b"Cache-Control: no-store", CHUNKED) + body, "origin_refused_framing",
              fields=PASS) for name, body in BAD_CHUNKS[::6]]
    + [Answer(f"{name}, {end}", raw, "origin_closed_early", end)
       for name, raw in TRUNCATED_BODIES for end in ("close", "reset")]
    + [Answer(f"{name}, {end}", raw, "origin_closed_early", end, fields=PASS)
       for name, raw in TRUNCATED_GIANTS for end in ("close", "reset")]
    + [Answer(name, raw, "origin_refused_framing", end, fields=RANGED)
       for name, raw, end in BAD_PART_BODIES]
)

# --- what is right, however odd

GOOD = [
    Good("9112-4: an empty reason", with_line(b"HTTP/1.1 200 ")),
    Good("9112-4: two spaces before the reason", with_line(b"HTTP/1.1 200  OK")),
    Good("9112-4: a tab in the reason", with_line(b"HTTP/1.1 200 O\tK")),
    Good("9112-4: bytes above 127 in the reason", with_line(b"HTTP/1.1 200 \xc3\xa4")),
    Good("9110-2.5: a later minor version", with_line(b"HTTP/1.9 200 OK")),
    Good("9110-15: an unknown status of 2xx", with_line(b"HTTP/1.1 299 Odd"), status=299),
    Good("9110-15: an unknown status of 4xx", with_line(b"HTTP/1.1 499 Odd"), status=499),
    Good("9110-15: status 599", with_line(b"HTTP/1.1 599 Odd"), status=599),
    Good("9112-6.2: a length with zeros in front", framed(b"Content-Length: 0005")),
    Good("9112-5: blanks around a value", framed(b"Content-Length: \t 5 \t ")),
    Good("9112-5: no blank before a value", framed(b"Content-Length:5")),
    Good("9110-5.1: a name of every kind of token byte", with_field(b"!#$%&'*+-.^_`|~09azAZ: y")),
    Good("9110-5.5: an empty value", with_field(b"X:")),
    Good("9110-5.5: bytes above 127 in a value", with_field(b"X: \x80\xff")),
    Good("9110-5.5: a tab in a value", with_field(b"X: a\tb")),
    Good("9110-5.4: as many fields as may be", with_field(*[b"X: y"] * 148)),
    Good("9112-6.2: a length of 0", framed(b"Content-Length: 0", body=b""), body=b""),
    Good("9112-6.1: chunked in other letters",
         framed(b"transfer-encoding: Chunked", body=b"5\r\nhello\r\n" + LAST)),
    Good("9112-7.1: sizes in either case",
         chunks(b"A\r\n0123456789\r\na\r\n0123456789\r\n" + LAST), b"0123456789" * 2),
    Good("9112-7.1: zeros before a size", chunks(b"0000000000000005\r\nhello\r\n" + LAST)),
    Good("9112-7.1: single bytes", chunks(b"".join(b"1\r\n%c\r\n" % c for c in BODY) + LAST)),
    Good("9112-7.1: only the last chunk", chunks(LAST), b""),
    Good("9112-7.1: a last chunk of many zeros", chunks(b"5\r\nhello\r\n0000\r\n\r\n")),
    Good("9112-7.1.1: extensions", chunks(b'5;a;b=c;d="e\\"f g"\r\nhello\r\n0;z\r\n\r\n')),
    Good("9112-7.1.1: blanks around their parts", chunks(b"5 ; a\t=  b\r\nhello\r\n" + LAST)),
    Good("9112-7.1.2: trailers", chunks(b"5\r\nhello\r\n0\r\nX: y\r\nContent-Length: 9\r\n\r\n")),
    Good("9112-6.3: until the end", framed(), kept=False, end="close"),
    Good("9112-6.3: nothing until the end", framed(body=b""), b"", kept=False, end="close"),
    Good("9112-9.3: Connection: close", framed(b"Connection: close", LENGTH), kept=False),
    Good("9112-9.3: Connection: Close among others",
         framed(b"Connection: x, Close", LENGTH), kept=False),
    Good("9112-9.3: HTTP/1.0", with_line(b"HTTP/1.0 200 OK"), kept=False),
    Good("9112-9.3: HTTP/1.0 with keep-alive",
         framed(b"Connection: keep-alive", LENGTH, line=b"HTTP/1.0 200 OK")),
    Good("9112-6.3: 204", head(b"HTTP/1.1 204 No Content", FRESH), b"", 204),
    Good("9110-8.6: 204 with a length of 0",
         framed(b"Content-Length: 0", body=b"", line=b"HTTP/1.1 204 No Content"), b"", 204),
    Good("9110-15.2: a 100", b"HTTP/1.1 100 Continue\r\n\r\n" + with_line(OK)),
    Good("9110-15.2: 20 times 103", HINTS * 20 + with_line(OK), interim=20),
    Good("9110-15.2: an unknown interim status",
         b"HTTP/1.1 199 Odd\r\n\r\n" + with_line(OK), interim=1),
    Good("9112-6.3: a length to HEAD", framed(LENGTH, body=b""), b"", stored=False, method="HEAD"),
    Good("9112-6.1: chunked to HEAD", framed(CHUNKED, body=b""), b"", stored=False, method="HEAD"),
    Good("9111-4.1: Vary: *", framed(b"Vary: *", LENGTH), stored=False),
    Good("9111-4.1: Vary: * among others", framed(b"Vary: X, *", LENGTH), stored=False),
    Good("9110-15.3.7: the range asked for", part(PART, LENGTH), status=206, stored=False,
         fields=RANGED),
    Good("9110-15.3.7: the range in chunks", part(PART, CHUNKED, body=b"5\r\nhello\r\n" + LAST),
         status=206, stored=False, fields=RANGED),
    Good("9110-15.3.7: the range until the end", part(PART), status=206, stored=False,
         kept=False, end="close", fields=RANGED),
    Good("9110-15.3.7: less than asked for",
         part(b"Content-Range: bytes 1-3/10", b"Content-Length: 3", body=b"ell"), b"ell", 206,
         stored=False, fields=RANGED),
    Good("9110-14.2: the whole in spite of a Range", with_line(OK), stored=False, fields=RANGED),
    Good("9110-15.5.17: 416 to a Range", framed(LENGTH, line=b"HTTP/1.1 416 Range"), status=416,
         stored=False, fields=RANGED),
    Good("9110-15.5.13: 412 to If-Match", framed(LENGTH, line=b"HTTP/1.1 412 Failed"), status=412,
         stored=False, fields=PASS),
    Good("9110-15.4.5: 304 to a HEAD with If-None-Match",
         head(b"HTTP/1.1 304 Not Modified", b'ETag: "a"'), b"", 304, stored=False, method="HEAD",
         fields={"If-None-Match": '"a"'}),
]
