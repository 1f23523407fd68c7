"""Raw requests with bodies and what must become of them: lengths, codings, chunks, and the ways in
which two servers have come to read two requests where there was one."""

from strict_cases import (HOST, ask, broken, chunked, get, post, refused, sent, sent_then_refused)

KB = 1024
SMUGGLED = b"GET /hidden HTTP/1.1\r\nHost: site.test\r\n\r\n"
LAST = b"0\r\n\r\n"

LENGTH = "RFC 9112 section 6.2"
LENGTHS = [
    sent(LENGTH, "a body", post(b"Content-Length: 5", body=b"hello"), ask(b"POST", body=b"hello", length=5)),
    sent(LENGTH, "no body", post(b"Content-Length: 0"), ask(b"POST", length=0)),
    sent(LENGTH, "zeros in front are digits", post(b"Content-Length: 0005", body=b"hello"),
         ask(b"POST", body=b"hello", length=5)),
    sent(LENGTH, "thirty zeros in front", post(b"Content-Length: " + b"0" * 30 + b"5", body=b"hello"),
         ask(b"POST", body=b"hello", length=5)),
    sent(LENGTH, "blanks around it", post(b"Content-Length: \t 5 \t", body=b"hello"),
         ask(b"POST", body=b"hello", length=5)),
    sent(LENGTH, "a name in any case", post(b"cOnTeNt-LeNgTh: 5", body=b"hello"),
         ask(b"POST", body=b"hello", length=5)),
    sent(LENGTH, "any bytes in it", post(b"Content-Length: 256", body=bytes(range(256))),
         ask(b"POST", body=bytes(range(256)), length=256)),
    sent("RFC 9112 section 6.3", "without a length there is no body", post(), ask(b"POST")),
    sent_then_refused("RFC 9112 section 6.3", "bytes after a POST without a length",
                      post(body=b"\x01hello"), [ask(b"POST")], 400),
    refused(LENGTH, "twice the same", 400, post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello")),
    refused(LENGTH, "two that differ", 400, post(b"Content-Length: 5", b"Content-Length: 6", body=b"hello")),
    refused(LENGTH, "two in other cases", 400,
            post(b"Content-Length: 5", b"content-length: 5", body=b"hello")),
    refused(LENGTH, "two apart", 400,
            post(b"Content-Length: 5", b"X: 1", b"Content-Length: 5", body=b"hello")),
    refused(LENGTH, "a second, empty one", 400, post(b"Content-Length: 5", b"Content-Length:", body=b"hello")),
    refused(LENGTH, "two in HTTP/1.0", 400,
            get(b"Content-Length: 5", b"Content-Length: 5", first=b"POST /a HTTP/1.0") + b"hello"),
] + [
    refused(LENGTH, f"the value {value!r}", 400, post(b"Content-Length: " + value, body=b"hello"))
    for value in (
        b"", b"+5", b"-5", b"-0", b"+0", b"5,5", b"5, 5", b"5,", b",5", b"5;", b"5 5", b"0x5", b"0X5",
        b"5.0", b"5e0", b"5_0", b"1,000", b"five", b"\"5\"", b"'5'", b"5a", b"a5", b"0b101", b"0o5",
        b"5\x0b", b"\x0b5", b"5\x00", b"\xb25", b"\xef\xbc\x95", b"~5", b"5=", b"(5)", b"NaN", b"inf",
        b"18446744073709551616", b"18446744073709551621", b"99999999999999999999", b"1" * 400,
        b"-18446744073709551611", b"4294967301 ,")
]

CODING = "RFC 9112 section 6.1"


def te(*values, fields=(), body=LAST, first=b"POST /a HTTP/1.1"):
    return get(*[b"Transfer-Encoding: " + value for value in values], *fields, first=first) + body


CODINGS = [
    sent(CODING, "chunked", te(b"chunked", body=b"5\r\nhello\r\n" + LAST),
         ask(b"POST", body=b"hello", chunked=True)),
    sent(CODING, "chunked in any case", te(b"ChUnKeD", body=b"5\r\nhello\r\n" + LAST),
         ask(b"POST", body=b"hello", chunked=True)),
    sent(CODING, "blanks around it", te(b"\t chunked \t", body=b"5\r\nhello\r\n" + LAST),
         ask(b"POST", body=b"hello", chunked=True)),
    refused(CODING, "in HTTP/1.0", 400, te(b"chunked", first=b"POST /a HTTP/1.0")),
    refused(CODING, "in HTTP/1.0 with keep-alive", 400,
            te(b"chunked", fields=[b"Connection: keep-alive"], first=b"POST /a HTTP/1.0")),
    refused(CODING, "gzip before chunked", 501, te(b"gzip, chunked")),
    refused(CODING, "gzip in a field before chunked", 501, te(b"gzip", b"chunked")),
    refused(CODING, "identity before chunked", 501, te(b"identity, chunked")),
    refused(CODING, "an unknown coding with parameters before chunked", 501,
            te(b'x;a="b, c", chunked')),
] + [
    refused(CODING, f"the value {value!r}", 400, te(value))
    for value in (
        b"", b"gzip", b"identity", b"chunked, gzip", b"chunked, identity", b"chunked, chunked",
        b"chunked,chunked", b"chunked, cow", b"cow", b"xchunked", b"chunkedx", b"chunke", b"hunked",
        b"x chunked", b"chunked x", b"chunked;", b"chunked; a=b", b"chunked;q=1", b"\"chunked\"",
        b"'chunked'", b"chunked\"", b"chu nked", b"chu\tnked", b"\x0bchunked", b"chunked\x0b",
        b"\x0cchunked", b"\x00chunked", b"chunked\x00", b"chunked\x7f", b"\xa0chunked", b"chunked\xa0",
        b"\xffchunked", b"\xef\xbb\xbfchunked", b"(chunked)", b"[chunked]", b"{chunked}", b"=chunked",
        b":chunked", b": chunked", b",chunked", b"chunked,", b", chunked", b"chunked, ,", b"chunked\\",
        b"chunk", b"chunked-", b"c\xc5\xabnked", b"\xd1\x81hunked", b"chunk%65d", b"true", b"1")
] + [
    refused(CODING, "chunked in two fields", 400, te(b"chunked", b"chunked")),
    refused(CODING, "chunked, then identity in a field", 400, te(b"chunked", b"identity")),
    refused(CODING, "chunked, then an empty field", 400, te(b"chunked", b"")),
    refused(CODING, "an empty field, then chunked", 400, te(b"", b"chunked")),
    refused(CODING, "chunked, then nonsense in another case", 400,
            te(b"chunked", fields=[b"transfer-encoding: cow"])),
    refused(CODING, "chunked on a folded line", 400, te(b"\r\n chunked")),
    refused(CODING, "chunked behind a bare LF", 400, te(b"\nchunked")),
    refused(CODING, "chunked behind a CR", 400, te(b"\rchunked")),
    refused(CODING, "a field behind a CR", 400, post(b"X: y\rTransfer-Encoding: chunked", body=LAST)),
    refused(CODING, "a blank before the name", 400, post(b"X: y", b" Transfer-Encoding: chunked", body=LAST)),
    refused(CODING, "a vertical tab before the name", 400, post(b"\x0bTransfer-Encoding: chunked", body=LAST)),
    refused(CODING, "a vertical tab before the colon", 400, post(b"Transfer-Encoding\x0b: chunked", body=LAST)),
    refused(CODING, "a NUL before the colon", 400, post(b"Transfer-Encoding\x00: chunked", body=LAST)),
    refused(CODING, "obs-text before the colon", 400, post(b"Transfer-Encoding\xa0: chunked", body=LAST)),
]

BOTH = "RFC 9112 section 6.3"
DESYNC = [
    refused(BOTH, "CL.TE", 400, post(b"Content-Length: 44", b"Transfer-Encoding: chunked",
                                     body=LAST + SMUGGLED)),
    refused(BOTH, "TE.CL", 400, post(b"Transfer-Encoding: chunked", b"Content-Length: 4",
                                     body=b"28\r\n" + SMUGGLED + b"\r\n" + LAST)),
    refused(BOTH, "a length of 0 beside chunked", 400,
            post(b"Content-Length: 0", b"Transfer-Encoding: chunked", body=LAST)),
    refused(BOTH, "a fitting length beside chunked", 400,
            post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=LAST)),
    refused(BOTH, "a malformed length beside chunked", 400,
            post(b"Content-Length: x", b"Transfer-Encoding: chunked", body=LAST)),
    refused(BOTH, "a length beside gzip", 400, post(b"Content-Length: 5", b"Transfer-Encoding: gzip",
                                                    body=b"hello")),
    refused(BOTH, "a length beside gzip and chunked", 400,
            post(b"Content-Length: 5", b"Transfer-Encoding: gzip, chunked", body=LAST)),
    refused(BOTH, "a length beside identity", 400,
            post(b"Content-Length: 5", b"Transfer-Encoding: identity", body=b"hello")),
    refused(BOTH, "a length beside an empty coding", 400,
            post(b"Content-Length: 5", b"Transfer-Encoding:", body=b"hello")),
    refused(BOTH, "both in HTTP/1.0", 400,
            get(b"Content-Length: 5", b"Transfer-Encoding: chunked", first=b"POST /a HTTP/1.0") + LAST),
    refused(BOTH, "both with GET", 400, get(b"Content-Length: 5", b"Transfer-Encoding: chunked") + LAST),
    refused(BOTH, "both, and close", 400,
            post(b"Connection: close", b"Content-Length: 5", b"Transfer-Encoding: chunked", body=LAST)),
    refused("RFC 9110 section 7.6.1", "the length nominated away", 400,
            post(b"Connection: content-length", b"Content-Length: 42", body=SMUGGLED)),
    sent("RFC 9110 section 7.6.1", "the coding nominated: it is hop-by-hop anyway",
         chunked(b"5\r\nhello\r\n" + LAST, b"Connection: transfer-encoding"),
         ask(b"POST", body=b"hello", chunked=True)),
    sent("RFC 9112 section 6.3", "a request as the body of a POST is a body",
         post(b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED),
         ask(b"POST", body=SMUGGLED, length=len(SMUGGLED))),
    sent("RFC 9112 section 6.3", "a request as the body of a GET is a body",
         get(b"Content-Length: %d" % len(SMUGGLED)) + SMUGGLED,
         ask(body=SMUGGLED, length=len(SMUGGLED))),
    sent("RFC 9112 section 6.3", "a request in a chunk is a body",
         chunked(b"%x\r\n%s\r\n" % (len(SMUGGLED), SMUGGLED) + LAST),
         ask(b"POST", body=SMUGGLED, chunked=True)),
    sent("RFC 9110 section 9.3.1", "GET with chunks", te(b"chunked", body=b"1\r\nx\r\n" + LAST,
                                                         first=b"GET /a HTTP/1.1"),
         ask(body=b"x", chunked=True)),
    sent("RFC 9110 section 9.3.2", "HEAD with a body",
         get(b"Content-Length: 1", first=b"HEAD /a HTTP/1.1") + b"x", ask(b"HEAD", body=b"x", length=1)),
    sent("RFC 9110 section 9.3.5", "DELETE with a body",
         get(b"Content-Length: 1", first=b"DELETE /a HTTP/1.1") + b"x",
         ask(b"DELETE", body=b"x", length=1)),
    sent("RFC 9110 section 9.3.7", "OPTIONS with a body",
         get(b"Content-Length: 1", first=b"OPTIONS * HTTP/1.1") + b"x",
         ask(b"OPTIONS", b"*", body=b"x", length=1)),
    sent("RFC 9110 section 9.1", "an unknown method with a body",
         get(b"Content-Length: 1", first=b"BREW /a HTTP/1.1") + b"x", ask(b"BREW", body=b"x", length=1)),
    sent("RFC 9112 section 6.3", "HTTP/1.0 with a body",
         get(b"Content-Length: 1", first=b"POST /a HTTP/1.0") + b"x",
         ask(b"POST", body=b"x", length=1, minor=0), closed=True),
]

CHUNK = "RFC 9112 section 7.1"


def read_as(why, raw, body, section=CHUNK):
    return sent(section, why, chunked(raw), ask(b"POST", body=body, chunked=True))


CHUNKS = [
    read_as("no data", LAST, b""),
    read_as("one chunk", b"5\r\nhello\r\n" + LAST, b"hello"),
    read_as("two chunks", b"3\r\nhel\r\n2\r\nlo\r\n" + LAST, b"hello"),
    read_as("chunks of one byte", b"".join(b"1\r\n%c\r\n" % i for i in range(256)) + LAST, bytes(range(256))),
    read_as("digits in upper case", b"A\r\n0123456789\r\n" + LAST, b"0123456789"),
    read_as("digits in lower case", b"a\r\n0123456789\r\n" + LAST, b"0123456789"),
    read_as("sixteen digits", b"0000000000000005\r\nhello\r\n" + LAST, b"hello"),
    read_as("the last chunk in sixteen zeros", b"5\r\nhello\r\n" + b"0" * 16 + b"\r\n\r\n", b"hello"),
    read_as("CRLF as data", b"4\r\n\r\n\r\n\r\n" + LAST, b"\r\n\r\n"),
    read_as("a last chunk as data", b"5\r\n0\r\n\r\n\r\n" + LAST, b"0\r\n\r\n"),
] + [
    broken(CHUNK, f"the size {size!r}", chunked(size + b"\r\nhello\r\n" + LAST))
    for size in (
        b"", b" 5", b"\t5", b"5 ", b"5\t", b"+5", b"-5", b"-0", b"0x5", b"0X5", b"x5", b"5h", b"5_0",
        b"5.0", b"5,", b"\"5\"", b"g", b"$5", b"\x0b5", b"5\x0b", b"5\x00", b"\x005", b"5\x85", b"\xa05",
        b"5\x7f", b"00000000000000005", b"10000000000000005", b"fffffffffffffffff", b"5\r", b"5\n", b"5\r\r",
        b"5 5", b"5:", b"5/", b"5=", b"%35", b"\\5", b"5 a", b"5\x1f")
] + [
    broken(CHUNK, "LF after the size", chunked(b"5\nhello\r\n" + LAST)),
    broken(CHUNK, "CR after the size", chunked(b"5\rhello\r\n" + LAST)),
    broken(CHUNK, "LF CR after the size", chunked(b"5\n\rhello\r\n" + LAST)),
    broken(CHUNK, "no CRLF after the data", chunked(b"5\r\nhello" + LAST)),
    broken(CHUNK, "LF after the data", chunked(b"5\r\nhello\n" + LAST)),
    broken(CHUNK, "CR after the data", chunked(b"5\r\nhello\r" + LAST)),
    broken(CHUNK, "LF CR after the data", chunked(b"5\r\nhello\n\r" + LAST)),
    broken(CHUNK, "two bytes for CRLF after the data", chunked(b"5\r\nhelloXX" + LAST)),
    broken(CHUNK, "a byte too many", chunked(b"5\r\nhello!\r\n" + LAST)),
    broken(CHUNK, "a byte too few", chunked(b"5\r\nhell\r\n" + LAST)),
    broken(CHUNK, "a blank after the data", chunked(b"5\r\nhello \r\n" + LAST)),
    broken(CHUNK, "two CRLF after the data", chunked(b"5\r\nhello\r\n\r\n" + LAST)),
    broken(CHUNK, "LF ends the last size", chunked(b"5\r\nhello\r\n0\n\r\n")),
    broken(CHUNK, "LF ends the body", chunked(b"5\r\nhello\r\n0\r\n\n")),
    broken(CHUNK, "CR and a byte end the body", chunked(b"5\r\nhello\r\n0\r\n\rX")),
    broken(CHUNK, "the last size with a blank", chunked(b"5\r\nhello\r\n0 \r\n\r\n")),
    broken(CHUNK, "the last size with a sign", chunked(b"5\r\nhello\r\n-0\r\n\r\n")),
    broken(CHUNK, "a request for a chunk", chunked(SMUGGLED)),
    broken(CHUNK, "an empty line for a chunk", chunked(b"\r\n" + LAST)),
    broken(CHUNK, "a body that is not chunked", chunked(b"hello")),
    broken(CHUNK, "the last chunk's line is cut by a request", chunked(b"0\r\n" + SMUGGLED)),
]

EXTENSION = "RFC 9112 section 7.1.1"
EXTENSIONS = [
    read_as(f"the extensions {ext!r}", b"5" + ext + b"\r\nhello\r\n0" + ext + b"\r\n\r\n", b"hello",
            EXTENSION)
    for ext in (b";a", b";a=b", b';a="b"', b';a=""', b';a="b c;d,e"', b';a="\\"\\\\"', b";a;b=c;d", b" ;a",
                b"\t ; a", b"; a = b ; c", b";a\t=\t\"b\"", b';a="\xff\t"', b";!#$%&'*+-.^_`|~=~")
] + [
    broken(EXTENSION, f"the extensions {ext!r}", chunked(b"5" + ext + b"\r\nhello\r\n" + LAST))
    for ext in (b";", b"; ", b";;a", b";a;", b";=b", b";a=", b";a= ", b";a ", b";a=b ", b";a b", b";a=b c",
                b";a=b=c", b'; "a"=b', b';a="b', b';a="b\\"', b';a="b"c', b";a='b c'", b";a=b,c", b";a\x00",
                b";a=\x0b", b";a\nb", b";a\rb", b"; a\n", b';a="b\nc"', b';a="b\rc"', b';a="b\x00c"',
                b';a="\\\n"', b';a="b\r\n"', b";\xe4=b", b";a=\xe4", b";a/b", b";a:b", b",a", b" a", b"=a",
                b"\x0b;a", b" ; \x0ca", b";a\x7f", b";a=[b]", b";a=(b)")
] + [
    broken(EXTENSION, "LF ends an extension", chunked(b"5;a\nhello\r\n" + LAST)),
    broken(EXTENSION, "LF ends an extension that hides a chunk",
           chunked(b"2;\nxx\r\n28\r\n" + SMUGGLED + b"\r\n" + LAST)),
    broken(EXTENSION, "CR ends an extension", chunked(b"5;a\rhello\r\n" + LAST)),
    broken(EXTENSION, "a line too long", chunked(b"5;" + b"a" * KB + b"\r\nhello\r\n" + LAST), 413),
    broken(EXTENSION, "a quoted line too long", chunked(b'5;a="' + b" " * KB + b'"\r\nhello\r\n' + LAST), 413),
    broken(EXTENSION, "blanks too long", chunked(b"5" + b" " * KB + b";a\r\nhello\r\n" + LAST), 413),
    broken(EXTENSION, "too many of them for so little data",
           chunked((b"1;" + b"a" * 1000 + b"\r\nx\r\n") * 20 + LAST), 413),
    broken(EXTENSION, "small ones, but on tiny chunks",
           chunked(b"1;abcdefgh\r\nx\r\n" * 3000 + LAST), 413),
    read_as("much data pays for them", (b"100;" + b"a" * 200 + b"\r\n" + b"x" * 256 + b"\r\n") * 150 + LAST,
            b"x" * 256 * 150, EXTENSION),
]

TRAILER = "RFC 9112 section 7.1.2"
TRAILERS = [
    read_as(f"the trailers {lines!r} are dropped", b"5\r\nhello\r\n0\r\n" + lines + b"\r\n\r\n", b"hello", TRAILER)
    for lines in (b"X: 1", b"X:", b"X:1", b"X: 1\r\nY: 2", b"X: \xff\t ", b"x-sum: 1\r\nX-Sum: 2")
] + [
    read_as(f"the trailer {name!r} changes nothing", b"5\r\nhello\r\n0\r\n" + name + b"\r\n\r\n", b"hello",
            "RFC 9110 section 6.5.1")
    for name in (b"Content-Length: 7", b"Transfer-Encoding: gzip", b"Host: evil.test", b"Connection: close",
                 b"Authorization: a", b"Expect: x", b"X-Forwarded-Host: evil.test", b"Trailer: X",
                 b"Cache-Control: no-store", b"Max-Forwards: 0")
] + [
    broken(TRAILER, f"the trailers {lines!r}", chunked(b"5\r\nhello\r\n0\r\n" + lines + b"\r\n\r\n"))
    for lines in (b"X : 1", b"X\t: 1", b" X: 1", b"\tX: 1", b"X: 1\r\n 2", b"X: 1\r\n\t2", b"X", b": 1", b"X Y: 1",
                  b"X: a\rb", b"X: a\nb", b"X: a\x00b", b"X: a\x0bb", b"X: a\x7fb", b"X\x00: 1", b"\xe4: 1",
                  b"X(: 1", b'"X": 1', b"X: 1\r", b"X: 1\nY: 2", b"GET /hidden HTTP/1.1\r\nHost: site.test")
] + [
    broken(TRAILER, "trailers too large", chunked(b"5\r\nhello\r\n0\r\n" + b"X: " + b"y" * (9 * KB) + b"\r\n\r\n"),
           431),
    broken(TRAILER, "too many trailers", chunked(b"5\r\nhello\r\n0\r\n" + b"X: y\r\n" * 2000 + b"\r\n"), 431),
]

PIPE = "RFC 9112 section 9.3.2"
GOOD, BAD = get(), get(b"X : 1")
LENGTHY = post(b"Content-Length: 5", body=b"hello")
PIPELINES = [
    sent(PIPE, "good and good", GOOD + get(first=b"GET /b HTTP/1.1"), ask(), ask(target=b"/b")),
    sent(PIPE, "good after an empty line after a body", LENGTHY + b"\r\n" + GOOD,
         ask(b"POST", body=b"hello", length=5), ask()),
    sent(PIPE, "good after a chunked body", chunked(b"5\r\nhello\r\n" + LAST) + GOOD,
         ask(b"POST", body=b"hello", chunked=True), ask()),
    sent(PIPE, "close ends it", get(b"Connection: close") + get(first=b"GET /hidden HTTP/1.1"), ask(),
         closed=True),
    sent(PIPE, "HTTP/1.0 ends it", get(first=b"GET /a HTTP/1.0") + get(first=b"GET /hidden HTTP/1.1"),
         ask(minor=0), closed=True),
    sent_then_refused(PIPE, "good, bad, good", GOOD + BAD + GOOD, [ask()], 400),
    sent_then_refused(PIPE, "good, good, bad, good", GOOD * 2 + BAD + GOOD, [ask(), ask()], 400),
    sent_then_refused(PIPE, "good, TRACE, good", GOOD + get(first=b"TRACE /a HTTP/1.1") + GOOD, [ask()], 405),
    sent_then_refused(PIPE, "good, CONNECT, good",
                      GOOD + get(first=b"CONNECT site.test:80 HTTP/1.1") + GOOD, [ask()], 405),
    sent_then_refused(PIPE, "good, HTTP/2.0, good", GOOD + get(first=b"GET /a HTTP/2.0") + GOOD, [ask()], 505),
    sent_then_refused(PIPE, "good, expecting, good", GOOD + get(b"Expect: x") + GOOD, [ask()], 417),
    sent_then_refused(PIPE, "good, https, good", GOOD + get(first=b"GET https://site.test/a HTTP/1.1") + GOOD,
                      [ask()], 421),
    sent_then_refused(PIPE, "good, too long, good", GOOD + get(first=b"GET /" + b"a" * 9000 + b" HTTP/1.1") + GOOD,
                      [ask()], 414),
    sent_then_refused(PIPE, "good, too large, good", GOOD + get(*[b"X: y"] * 100) + GOOD, [ask()], 431),
    sent_then_refused(PIPE, "good, gzip, good", GOOD + te(b"gzip, chunked") + GOOD, [ask()], 501),
    sent(PIPE, "a body longer than it said begins the next request",
         post(b"Content-Length: 4", body=b"hello") + GOOD, ask(b"POST", body=b"hell", length=4), ask(b"oGET")),
    sent_then_refused(PIPE, "a body that hides a bad request", LENGTHY + b"\x00" + GOOD,
                      [ask(b"POST", body=b"hello", length=5)], 400),
    sent_then_refused(PIPE, "too many empty lines between", GOOD + b"\r\n" * 3 + GOOD, [ask()], 400),
    refused(PIPE, "bad, good, good", 400, BAD + GOOD + GOOD),
    refused(PIPE, "a second Host line in front of a good request", 400, HOST + b"\r\n\r\n" + GOOD),
]

CASES = LENGTHS + CODINGS + DESYNC + CHUNKS + EXTENSIONS + TRAILERS + PIPELINES
