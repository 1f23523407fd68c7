"""Raw request heads and what must become of them, RFC section by section.

refused(): the status, nothing at the origin. sent(): what the origin must get, byte for byte.
"""

from strict_cases import GET, HOST, ask, get, local, post, refused, sent

KB = 1024

LINES = "RFC 9112 section 2.2"
EMPTY_LINES = [
    sent(LINES, "one empty line before the request", b"\r\n" + get(), ask()),
    sent(LINES, "two empty lines before the request", b"\r\n\r\n" + get(), ask()),
    refused(LINES, "three empty lines before the request", 400, b"\r\n\r\n\r\n" + get()),
    refused(LINES, "an empty line ended by LF", 400, b"\n" + get()),
    refused(LINES, "CR and no LF before the request", 400, b"\r" + get()),
    refused(LINES, "a blank line before the request", 400, b" \r\n" + get()),
    refused(LINES, "LF ends the request line", 400, b"GET /a HTTP/1.1\nHost: site.test\r\n\r\n"),
    refused(LINES, "LF ends every line", 400, b"GET /a HTTP/1.1\nHost: site.test\n\n"),
    refused(LINES, "LF ends a field", 400, b"GET /a HTTP/1.1\r\nHost: site.test\nX: 1\r\n\r\n"),
    refused(LINES, "LF ends the head", 400, b"GET /a HTTP/1.1\r\nHost: site.test\r\n\n"),
    refused(LINES, "LF CR ends a line", 400, b"GET /a HTTP/1.1\n\rHost: site.test\r\n\r\n"),
    refused(LINES, "CR ends the request line", 400, b"GET /a HTTP/1.1\rHost: site.test\r\n\r\n"),
    refused(LINES, "CR CR LF ends a field", 400, get(b"X: 1\r")),
    refused(LINES, "CR within a value", 400, get(b"X: a\rb")),
    refused(LINES, "CR within a name", 400, get(b"X\rY: a")),
    refused(LINES, "CR before a hidden field", 400, get(b"X: a\rTransfer-Encoding: chunked")),
    refused(LINES, "LF before a hidden field", 400, get(b"X: a\nTransfer-Encoding: chunked")),
    refused(LINES, "NUL within a value", 400, get(b"X: a\0b")),
    refused(LINES, "NUL before the request", 400, b"\0" + get()),
    refused(LINES, "a blank before the first field", 400,
            b"GET /a HTTP/1.1\r\n Host: site.test\r\n\r\n"),
    refused(LINES, "a tab before the first field", 400,
            b"GET /a HTTP/1.1\r\n\tHost: site.test\r\n\r\n"),
    refused(LINES, "a line of blanks before the first field", 400,
            b"GET /a HTTP/1.1\r\n \r\nHost: site.test\r\n\r\n"),
    refused(LINES, "a blank in the empty line", 400, b"GET /a HTTP/1.1\r\nHost: site.test\r\n \r\n\r\n"),
]

NOT_HTTP = "RFC 9112 section 2.1"
OTHER_PROTOCOLS = [
    refused(NOT_HTTP, "a TLS ClientHello", 400,
            bytes.fromhex("1603010200010001fc0303") + b"\x5a" * 64 + b"\x00\x20" + b"\x13\x01" * 16),
    refused(NOT_HTTP, "a TLS ClientHello without NUL at first", 400, b"\x16\x03\x01\x02\x7f\x01\x01"),
    refused(NOT_HTTP, "an SSL 2 hello", 400, b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10"),
    refused(NOT_HTTP, "the HTTP/2 preface", 505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    refused(NOT_HTTP, "HTTP/2 frames without a preface", 400,
            b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64"),
    refused(NOT_HTTP, "HTTP/0.9", 400, b"GET /a\r\n\r\n"),
    refused(NOT_HTTP, "HTTP/0.9 with a host after it", 400, b"GET /a\r\nHost: site.test\r\n\r\n"),
    refused(NOT_HTTP, "a response", 400, b"HTTP/1.1 200 OK\r\nHost: site.test\r\n\r\n"),
    refused(NOT_HTTP, "SIP", 400, b"INVITE sip:a@b SIP/2.0\r\nHost: site.test\r\n\r\n"),
    refused(NOT_HTTP, "RTSP", 400, b"OPTIONS * RTSP/1.0\r\nHost: site.test\r\n\r\n"),
    refused(NOT_HTTP, "SMTP", 400, b"EHLO site.test\r\n\r\n"),
    refused(NOT_HTTP, "a PROXY protocol line", 400,
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET /a HTTP/1.1\r\nHost: site.test\r\n\r\n"),
    refused(NOT_HTTP, "a binary PROXY protocol header", 400, b"\r\n\r\n\0\r\nQUIT\n" + b"\x21\x11\0\x0c"),
]

LINE = "RFC 9112 section 3"


def line(text, host=HOST):
    return text + b"\r\n" + host + b"\r\n\r\n"


REQUEST_LINES = [
    refused(LINE, "two blanks after the method", 400, line(b"GET  /a HTTP/1.1")),
    refused(LINE, "two blanks after the target", 400, line(b"GET /a  HTTP/1.1")),
    refused(LINE, "a tab after the method", 400, line(b"GET\t/a HTTP/1.1")),
    refused(LINE, "a tab after the target", 400, line(b"GET /a\tHTTP/1.1")),
    refused(LINE, "a vertical tab after the target", 400, line(b"GET /a\x0bHTTP/1.1")),
    refused(LINE, "a form feed after the method", 400, line(b"GET\x0c/a HTTP/1.1")),
    refused(LINE, "a no-break blank after the method", 400, line(b"GET\xa0/a HTTP/1.1")),
    refused(LINE, "a blank before the method", 400, line(b" GET /a HTTP/1.1")),
    refused(LINE, "a blank at the end", 400, line(b"GET /a HTTP/1.1 ")),
    refused(LINE, "a tab at the end", 400, line(b"GET /a HTTP/1.1\t")),
    refused(LINE, "a word after the version", 400, line(b"GET /a HTTP/1.1 x")),
    refused(LINE, "a second request on the line", 400, line(b"GET /a HTTP/1.1 GET /b HTTP/1.1")),
    refused(LINE, "no target", 400, line(b"GET HTTP/1.1")),
    refused(LINE, "an empty target", 400, line(b"GET  HTTP/1.1")),
    refused(LINE, "no version", 400, line(b"GET /a")),
    refused(LINE, "no version but a blank", 400, line(b"GET /a ")),
    refused(LINE, "only a method", 400, line(b"GET")),
    refused(LINE, "no method", 400, line(b"/a HTTP/1.1")),
    refused(LINE, "only a blank before the target", 400, line(b" /a HTTP/1.1")),
    refused(LINE, "a colon after the method", 400, line(b"GET: /a HTTP/1.1")),
    refused(LINE, "a quoted method", 400, line(b'"GET" /a HTTP/1.1')),
    refused(LINE, "a method with a slash", 400, line(b"GET/x /a HTTP/1.1")),
    refused(LINE, "a method in brackets", 400, line(b"[GET] /a HTTP/1.1")),
    refused(LINE, "a method of more than 64 letters", 501, line(b"A" * 65 + b" /a HTTP/1.1")),
    refused(LINE, "a method longer than any line", 501, b"A" * (9 * KB)),
    refused(LINE, "a target longer than any line", 414, b"GET /" + b"a" * (9 * KB)),
    refused(LINE, "a target a byte too long", 414,
            line(b"GET /" + b"a" * (8 * KB - 15) + b" HTTP/1.1")),
    sent(LINE, "a target that just fits", line(b"GET /" + b"a" * (8 * KB - 16) + b" HTTP/1.1"),
         ask(target=b"/" + b"a" * (8 * KB - 16))),
    refused(LINE, "a query longer than any line", 414, b"GET /?" + b"a" * (9 * KB)),
]

METHOD = "RFC 9110 section 9.1"
METHODS = [
    sent(METHOD, f"{name.decode()} is passed on", line(name + b" /a HTTP/1.1"),
         ask(name))
    for name in (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"PROPFIND",
                 b"REPORT", b"MKCOL", b"BREW", b"SEARCH", b"QUERY", b"M-SEARCH", b"X",
                 b"!#$%&'*+-.^_`|~09", b"A" * 64)
] + [
    sent(METHOD, "get in lower case is another method", line(b"get /a HTTP/1.1"), ask(b"get")),
    sent(METHOD, "Post in mixed case is another method", line(b"Post /a HTTP/1.1"), ask(b"Post")),
    sent(METHOD, "trace in lower case is another method", line(b"trace /a HTTP/1.1"), ask(b"trace")),
    refused("RFC 9110 section 9.3.2", "HEAD in HTTP/2.0 is refused without content", 505,
            line(b"HEAD /a HTTP/2.0")),
    refused("RFC 9110 section 9.3.2", "HEAD with a bad field is refused without content", 400,
            get(b"X : 1", first=b"HEAD /a HTTP/1.1")),
    refused("RFC 9110 section 9.3.8", "TRACE", 405, line(b"TRACE /a HTTP/1.1")),
    refused("RFC 9110 section 9.3.8", "TRACE with Max-Forwards 0", 405,
            get(b"Max-Forwards: 0", first=b"TRACE /a HTTP/1.1")),
    refused("RFC 9110 section 9.3.8", "TRACE with a body", 405,
            get(b"Content-Length: 2", first=b"TRACE /a HTTP/1.1") + b"ab"),
    refused("RFC 9110 section 9.3.6", "CONNECT", 405,
            line(b"CONNECT site.test:443 HTTP/1.1", b"Host: site.test:443")),
    refused("RFC 9110 section 9.3.6", "CONNECT and what was meant for the tunnel", 405,
            line(b"CONNECT site.test:80 HTTP/1.1") + get()),
    refused("RFC 9112 section 3.2.3", "CONNECT without a port", 400, line(b"CONNECT site.test HTTP/1.1")),
    refused("RFC 9112 section 3.2.3", "CONNECT with a path", 400, line(b"CONNECT /a HTTP/1.1")),
    refused("RFC 9112 section 3.2.3", "CONNECT with an URI", 400,
            line(b"CONNECT http://site.test:80/ HTTP/1.1")),
]

VERSION = "RFC 9112 section 2.3"
VERSIONS = [
    refused(VERSION, f"the version {text!r}", status, line(b"GET /a " + text.encode("latin-1")))
    for text, status in (
        ("HTTP/2.0", 505), ("HTTP/0.9", 505), ("HTTP/3.0", 505), ("HTTP/9.9", 505), ("HTTP/0.0", 505),
        ("HTTP/2", 400), ("HTTP/1", 400), ("HTTP/1.", 400), ("HTTP/.1", 400), ("HTTP/11", 400),
        ("HTTP/1.10", 400), ("HTTP/01.1", 400), ("HTTP/1.01", 400), ("HTTP/+1.1", 400),
        ("HTTP/1.-1", 400), ("HTTP/1,1", 400), ("HTTP/1 .1", 400), ("HTTP /1.1", 400),
        ("HTTP/ 1.1", 400), ("http/1.1", 400), ("Http/1.1", 400), ("HTTPS/1.1", 400), ("HTP/1.1", 400),
        ("HTTP-1.1", 400), ("HTTP\\1.1", 400), ("XHTTP/1.1", 400), ("HTTP/1.1x", 400),
        ("HTTP/1.1\x0b", 400), ("HTTP/1.\xb1", 400), ("HTTP/1.x", 400), ("HTTP/A.1", 400), ("1.1", 400))
] + [
    sent("RFC 9110 section 2.5", "HTTP/1.2 is read as HTTP/1.1", line(b"GET /a HTTP/1.2"), ask()),
    sent("RFC 9110 section 2.5", "HTTP/1.9 is read as HTTP/1.1", line(b"GET /a HTTP/1.9"), ask()),
    sent("RFC 9112 section 9.3", "HTTP/1.0 is answered and closed", line(b"GET /a HTTP/1.0"),
         ask(minor=0), closed=True),
    sent("RFC 9112 section 9.3", "HTTP/1.0 may be kept",
         get(b"Connection: keep-alive", first=b"GET /a HTTP/1.0"), ask(minor=0)),
    sent("RFC 9112 section 9.3", "close is stronger than keep-alive",
         get(b"Connection: keep-alive, close"), ask(), closed=True),
    sent("RFC 9112 section 9.3", "close in any case", get(b"Connection: CLOSE"), ask(), closed=True),
    sent("RFC 9112 section 9.3", "close in the second field",
         get(b"Connection: x-a", b"Connection: ,close ,"), ask(), closed=True),
]

TARGET = "RFC 9112 section 3.2"


def target_line(target):
    return line(GET + target + b" HTTP/1.1")


TARGETS = [
    refused(TARGET, f"the target {target!r}", 400, target_line(target))
    for target in (
        b"a", b"a/b", b"?a", b"*", b"**", b"/a#b", b"/#", b"/a?b#c", b"#", b"/a b", b"/a%", b"/a%4",
        b"/a%zz", b"/a%u0041", b"/a?%", b"/a?%4g", b"/a\\b", b"\\a", b"/a\"b", b"/a<b", b"/a>b",
        b"/a\x7fb", b"/a\x80b", b"/\xc3\xa4", b"/a?\xc3\xa4", b"/a\x01b", b"/a\x1fb", b"/a\tb",
        b"/a^b", b"/a`b", b"/a{b", b"/a}b", b"/a|b", b"/a[b", b"/a]b", b"/a?b\"", b"/a?<b",
        b"site.test", b"site.test:80", b"./a", b"../a", b"%2fa")
] + [
    sent(TARGET, f"the target {target!r} as it came", target_line(target), ask(target=target))
    for target in (
        b"/", b"//", b"//evil.test/a", b"/a//b", b"/./a", b"/../a", b"/a/../b", b"/%2e%2e/a", b"/%2F",
        b"/%00", b"/%0d%0aX:%201", b"/a%20b", b"/%C3%A4", b"/%c3%a4", b"/;a=b", b"/a:b@c", b"/a?",
        b"/a??b", b"/a?/b", b"/?a=%41", b"/?a[]=1&b={c}|d^e`f", b"/*", b"/a,b", b"/!$&'()*+,;=:@-._~")
]

ABSOLUTE = "RFC 9112 section 3.2.2"
ABSOLUTE_FORMS = [
    sent(ABSOLUTE, "the target's host wins", target_line(b"http://real.test/a"), ask(host=b"real.test")),
    sent(ABSOLUTE, "a scheme in any case", target_line(b"HTTP://site.test/a"), ask()),
    sent(ABSOLUTE, "a host in any case", target_line(b"http://REAL.Test/a"), ask(host=b"real.test")),
    sent(ABSOLUTE, "the default port", target_line(b"http://real.test:80/a"), ask(host=b"real.test")),
    sent(ABSOLUTE, "another port", target_line(b"http://real.test:81/a"), ask(host=b"real.test:81")),
    sent(ABSOLUTE, "an empty port", target_line(b"http://real.test:/a"), ask(host=b"real.test")),
    sent(ABSOLUTE, "no path", target_line(b"http://real.test"), ask(target=b"/", host=b"real.test")),
    sent(ABSOLUTE, "no path but a query", target_line(b"http://real.test?a"),
         ask(target=b"/?a", host=b"real.test")),
    sent(ABSOLUTE, "an IPv6 address", target_line(b"http://[::1]:81/a"), ask(host=b"[::1]:81")),
    sent(ABSOLUTE, "in HTTP/1.0 without Host", b"GET http://real.test/a HTTP/1.0\r\n\r\n",
         ask(host=b"real.test", minor=0), closed=True),
    refused(ABSOLUTE, "no Host beside it", 400, b"GET http://site.test/a HTTP/1.1\r\n\r\n"),
    refused(ABSOLUTE, "two Hosts beside it", 400,
            get(HOST, first=b"GET http://site.test/a HTTP/1.1")),
    refused(ABSOLUTE, "a malformed Host beside it", 400,
            line(b"GET http://site.test/a HTTP/1.1", b"Host: a b")),
    refused("RFC 9110 section 7.4", "https without TLS", 421, target_line(b"https://site.test/a")),
    refused("RFC 9110 section 7.4", "https on its port without TLS", 421,
            target_line(b"https://site.test:443/a")),
] + [
    refused(ABSOLUTE, f"the target {target!r}", 400, target_line(target))
    for target in (
        b"ftp://site.test/a", b"file:///etc/passwd", b"ws://site.test/a", b"http:/site.test/a",
        b"http:site.test", b"http://", b"http:///a", b"http://:80/a", b"http://me@site.test/a",
        b"http://me:pw@site.test/a", b"http://site.test@evil.test/a", b"http://site.test/a#b",
        b"http://site.test:0/a", b"http://site.test:65536/a", b"http://site.test:8a/a",
        b"http://site.test:-1/a", b"http://site.test:80:80/a", b"http://[::1/a", b"http://::1/a",
        b"http://[fe80::1%25eth0]/a", b"http://[v1.a]/a", b"http://site.test\\a",
        b"http://site test/a", b"http://a,b/a", b"http://a%zz/a", b"http://\xc3\xa4.test/a",
        b" http://site.test/a", b"://site.test/a", b"http//site.test/a", b"mailto:a@site.test",
        b"javascript:alert(1)", b"data:,a")
]

ASTERISK = "RFC 9112 section 3.2.4"
ASTERISKS = [
    sent(ASTERISK, "OPTIONS *", line(b"OPTIONS * HTTP/1.1"), ask(b"OPTIONS", b"*")),
    sent(ASTERISK, "OPTIONS of an URI without a path", line(b"OPTIONS http://site.test HTTP/1.1"),
         ask(b"OPTIONS", b"*")),
    sent(ASTERISK, "OPTIONS of an URI with an empty path and a query",
         line(b"OPTIONS http://site.test?a HTTP/1.1"), ask(b"OPTIONS", b"/?a")),
    sent(ASTERISK, "OPTIONS of a path", line(b"OPTIONS /a HTTP/1.1"), ask(b"OPTIONS")),
] + [
    refused(ASTERISK, f"{method.decode()} *", 400, line(method + b" * HTTP/1.1"))
    for method in (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"PURGE", b"BREW", b"options")
]

HOPS = "RFC 9110 section 7.6.2"


def options(*fields):
    return get(*fields, first=b"OPTIONS /a HTTP/1.1")


MAX_FORWARDS = [
    local(HOPS, "OPTIONS with Max-Forwards 0 is ours to answer", options(b"Max-Forwards: 0"), 200),
    local(HOPS, "OPTIONS * with Max-Forwards 0", get(b"Max-Forwards: 0", first=b"OPTIONS * HTTP/1.1"),
          200),
    sent(HOPS, "OPTIONS with Max-Forwards 1", options(b"Max-Forwards: 1"),
         ask(b"OPTIONS", fields=[(b"Max-Forwards", b"0")])),
    sent(HOPS, "OPTIONS with Max-Forwards 10", options(b"Max-Forwards: 10"),
         ask(b"OPTIONS", fields=[(b"Max-Forwards", b"9")])),
    sent(HOPS, "it counts for OPTIONS and TRACE alone", get(b"Max-Forwards: 0"),
         ask(fields=[(b"Max-Forwards", b"0")])),
    refused(HOPS, "two of it", 400, options(b"Max-Forwards: 1", b"Max-Forwards: 1")),
] + [
    refused(HOPS, f"the value {value!r}", 400, options(b"Max-Forwards: " + value))
    for value in (b"", b"-1", b"+1", b"1.0", b"0x1", b"1, 1", b"one", b"1 0")
]

HOST_FIELD = "RFC 9112 section 3.2"


def hosts(*fields, first=b"GET /a HTTP/1.1"):
    return b"\r\n".join([first, *fields, b"", b""])


HOSTS = [
    refused(HOST_FIELD, "no Host", 400, hosts(b"X: 1")),
    refused(HOST_FIELD, "no Host in HTTP/1.9", 400, hosts(first=b"GET /a HTTP/1.9")),
    refused(HOST_FIELD, "no Host but X-Forwarded-Host", 400, hosts(b"X-Forwarded-Host: site.test")),
    refused(HOST_FIELD, "two Hosts", 400, hosts(HOST, HOST)),
    refused(HOST_FIELD, "two Hosts that differ", 400, hosts(HOST, b"Host: evil.test")),
    refused(HOST_FIELD, "two Hosts in other cases", 400, hosts(HOST, b"hOsT: site.test")),
    refused(HOST_FIELD, "two Hosts apart", 400, hosts(HOST, b"X: 1", b"Y: 2", HOST)),
    refused(HOST_FIELD, "two Hosts in HTTP/1.0", 400, hosts(HOST, HOST, first=b"GET /a HTTP/1.0")),
    refused(HOST_FIELD, "a second, empty Host", 400, hosts(HOST, b"Host:")),
    refused(HOST_FIELD, "Host with a blank before the colon", 400, hosts(b"Host : site.test")),
    refused(HOST_FIELD, "a Host folded away", 400, hosts(HOST, b"X: 1", b" Host: evil.test")),
    sent(HOST_FIELD, "none in HTTP/1.0", hosts(first=b"GET /a HTTP/1.0"),
         ask(host=b"localhost", minor=0), closed=True),
    sent("RFC 9110 section 5.3", "Host after other fields", hosts(b"X: 1", b"HOST:site.test\t "),
         ask(fields=[(b"X", b"1")])),
] + [
    refused("RFC 9110 section 7.2", f"the Host {value!r}", 400, hosts(b"Host: " + value))
    for value in (
        b"", b" ", b":80", b"site.test:0", b"site.test:65536", b"site.test:99999999999", b"site.test:x",
        b"site.test:80:80", b"site.test: 80", b"site.test :80", b"site.test:+80", b"site.test:8 0",
        b"site.test:000080", b"site.test, evil.test", b"site.test,evil.test", b"site.test evil.test",
        b"site.test\tevil.test", b"me@site.test", b"site.test@evil.test", b"site.test/a", b"/", b"*/",
        b"site.test?a", b"site.test#a", b"http://site.test", b"site.test\\a", b"\"site.test\"",
        b"<site.test>", b"[", b"[]", b"[::1", b"::1", b"[::1]x", b"[::1]:x", b"[::1%25lo]", b"[::1%lo]",
        b"[fe80::1%eth0]:80", b"[v1.x]", b"[1.2.3.4]", b"[site.test]", b"[::g]", b"[1::2::3]",
        b"[1:2:3:4:5:6:7:8:9]", b"[::256.1.1.1]", b"site%test", b"site.test%", b"site.test%0",
        b"\xc3\xa4.test", b"site.test\x7f", b"site.test|a", b"site.test^a", b"{site.test}", b"a`b")
] + [
    sent("RFC 9110 section 7.2", f"the Host {value!r}", hosts(b"Host: " + value), ask(host=want))
    for value, want in (
        (b"SITE.Test", b"site.test"), (b"site.test:80", b"site.test"), (b"site.test:", b"site.test"),
        (b"site.test:00080", b"site.test"), (b"site.test:8080", b"site.test:8080"),
        (b"site.test:65535", b"site.test:65535"), (b"127.0.0.1", b"127.0.0.1"),
        (b"[::1]", b"[::1]"), (b"[::FFFF:1.2.3.4]:81", b"[::ffff:1.2.3.4]:81"), (b"a_b.test", b"a_b.test"),
        (b"site.test.", b"site.test."), (b"xn--4ca.test", b"xn--4ca.test"), (b"a", b"a"))
]

FIELD = "RFC 9112 section 5"
FIELDS = [
    refused("RFC 9112 section 5.1", "a blank before the colon", 400, get(b"X : 1")),
    refused("RFC 9112 section 5.1", "a tab before the colon", 400, get(b"X\t: 1")),
    refused("RFC 9112 section 5.1", "a blank before Content-Length's colon", 400,
            post(b"Content-Length : 5", body=b"hello")),
    refused("RFC 9112 section 5.1", "a blank before Transfer-Encoding's colon", 400,
            post(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n")),
    refused("RFC 9112 section 5.2", "a folded field", 400, get(b"X: a", b" b")),
    refused("RFC 9112 section 5.2", "folded with a tab", 400, get(b"X: a", b"\tb")),
    refused("RFC 9112 section 5.2", "folded with blanks alone", 400, get(b"X: a", b"  ")),
    refused("RFC 9112 section 5.2", "a folded empty field", 400, get(b"X:", b" a")),
    refused("RFC 9112 section 5.2", "a folded last field", 400, get(b"X: a", b" ")),
    refused("RFC 9112 section 5.2", "a folded Content-Length", 400,
            post(b"Content-Length:", b" 5", body=b"hello")),
    refused("RFC 9112 section 5.2", "a folded Transfer-Encoding", 400,
            post(b"Transfer-Encoding:", b" chunked", body=b"0\r\n\r\n")),
    refused("RFC 9112 section 5.2", "a folded Host", 400, hosts(b"Host:", b" site.test")),
    refused(FIELD, "no colon", 400, get(b"X")),
    refused(FIELD, "no name", 400, get(b": 1")),
    refused(FIELD, "only a colon", 400, get(b":")),
    refused(FIELD, "a blank in the name", 400, get(b"X Y: 1")),
    refused(FIELD, "a second request line", 400, get(b"GET /b HTTP/1.1")),
    refused(FIELD, "a request line in front", 400, b"GET /b HTTP/1.1\r\nGET /a HTTP/1.1\r\n" + HOST +
            b"\r\n\r\n"),
    refused(FIELD, "a quoted name", 400, get(b'"X": 1')),
    refused(FIELD, "a name with obs-text", 400, get(b"X\xe4: 1")),
    refused(FIELD, "a vertical tab after the colon", 400, get(b"X:\x0b1")),
    refused(FIELD, "a form feed in a value", 400, get(b"X: a\x0cb")),
    refused(FIELD, "DEL in a value", 400, get(b"X: a\x7fb")),
    refused(FIELD, "ESC in a value", 400, get(b"X: \x1b[31m")),
    refused(FIELD, "a backspace in a name", 400, get(b"X\x08Y: 1")),
    sent("RFC 9110 section 5.5", "blanks around a value", get(b"X: \t a \t b \t "),
         ask(fields=[(b"X", b"a \t b")])),
    sent("RFC 9110 section 5.5", "no blank before a value", get(b"X:a"), ask(fields=[(b"X", b"a")])),
    sent("RFC 9110 section 5.5", "an empty value", get(b"X:"), ask(fields=[(b"X", b"")])),
    sent("RFC 9110 section 5.5", "a value of blanks", get(b"X:  \t "), ask(fields=[(b"X", b"")])),
    sent("RFC 9110 section 5.5", "obs-text in a value", get(b"X: \x80\xff\xc3\xa4"),
         ask(fields=[(b"X", b"\x80\xff\xc3\xa4")])),
    sent("RFC 9110 section 5.5", "colons in a value", get(b"X: a:b: c"),
         ask(fields=[(b"X", b"a:b: c")])),
    sent("RFC 9110 section 5.3", "the order of fields", get(b"X: 1", b"Y: 2", b"x: 3"),
         ask(fields=[(b"X", b"1"), (b"Y", b"2"), (b"x", b"3")])),
    sent("RFC 9110 section 5.6.2", "letters, digits and hyphens name a field", get(b"-09azAZ-: 1"),
         ask(fields=[(b"-09azAZ-", b"1")])),
    sent("RFC 9110 section 5.6.2", "other tokens are names too, but end here",
         get(b"!#$%&'*+-.^_`|~09aZ: 1"), ask()),
    refused("RFC 6585 section 5", "a head too large", 431,
            get(*[b"X-%d: %s" % (i, b"y" * KB) for i in range(40)])),
    refused("RFC 6585 section 5", "one field too large", 431, get(b"X: " + b"y" * (33 * KB))),
    refused("RFC 6585 section 5", "a name too large", 431, get(b"X" * (33 * KB) + b": y")),
    refused("RFC 6585 section 5", "a head without an end", 431,
            b"GET /a HTTP/1.1\r\nX: " + b"y" * (33 * KB)),
    refused("RFC 6585 section 5", "101 fields", 431, get(*[b"X: y"] * 100)),
    sent("RFC 6585 section 5", "100 fields", get(*[b"X: y"] * 99), ask(fields=[(b"X", b"y")] * 99)),
]

CONNECTION = "RFC 9110 section 7.6.1"
CONNECTIONS = [
    sent(CONNECTION, "nominated fields end here", get(b"Connection: x-a, X-B", b"X-A: 1", b"x-b: 2",
                                                     b"X-C: 3"), ask(fields=[(b"X-C", b"3")])),
    sent(CONNECTION, "hop-by-hop fields end here without being named",
         get(b"Keep-Alive: a", b"Proxy-Connection: close", b"TE: trailers", b"Trailer: X",
             b"Proxy-Authorization: a", b"Upgrade: h2c"), ask()),
    sent(CONNECTION, "empty members", get(b"Connection: , ,x-a,,", b"X-A: 1"), ask()),
] + [
    refused(CONNECTION, f"the option {value!r}", 400, get(b"Connection: " + value))
    for value in (b"Host", b"Content-Length", b"cache-control", b"Authorization", b"Cookie", b"a b",
                  b"a;b", b"\"close\"", b"close\\", b"a=b", b"X-Forwarded-For")
]

EXPECT = "RFC 9110 section 10.1.1"
EXPECTATIONS = [
    refused(EXPECT, f"the expectation {value!r}", 417, post(b"Expect: " + value, b"Content-Length: 0"))
    for value in (b"", b"x", b"100", b"100-continued", b"100-continue, x", b"x, 100-continue",
                  b"100-continue; a", b"100-continue, 100-continue", b"\"100-continue\"", b"200-ok")
] + [
    refused(EXPECT, "two expectations", 417,
            post(b"Expect: 100-continue", b"Expect: 100-continue", b"Content-Length: 0")),
    sent(EXPECT, "100-continue with the body behind it",
         post(b"Expect: 100-continue", b"Content-Length: 5", body=b"hello"),
         ask(b"POST", body=b"hello", length=5)),
    sent(EXPECT, "100-Continue with chunks behind it",
         post(b"Expect: 100-Continue", b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n"),
         ask(b"POST", body=b"hello", chunked=True)),
    sent(EXPECT, "100-continue without a body", get(b"Expect: 100-continue"), ask()),
    sent(EXPECT, "HTTP/1.0 expects nothing", hosts(HOST, b"Expect: x", first=b"GET /a HTTP/1.0"),
         ask(minor=0), closed=True),
]

CASES = (EMPTY_LINES + OTHER_PROTOCOLS + REQUEST_LINES + METHODS + VERSIONS + TARGETS +
         ABSOLUTE_FORMS + ASTERISKS + MAX_FORWARDS + HOSTS + FIELDS + CONNECTIONS + EXPECTATIONS)
