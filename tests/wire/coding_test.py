"""Every combination of what the origin sends, what the client takes, how it asks, and what is stored.

coding_model.py says what each answer has to be. Beyond it, a strong entity tag names one sequence of
bytes, whoever gets it (RFC 9110 section 8.8.1): all that were seen are kept and compared.
"""

import base64
import hashlib
import itertools
import urllib.parse
from email.utils import formatdate

import pytest

import codings
from client import DEADLINE_S
from coding_model import CODINGS, TAG, Request, Resource, want
from edge import Edge
from origin import Origin
from ranges_test import split_parts

BODY = codings.text(20_000, "table")
CHANGED = formatdate(1_700_000_000, usegmt=True)
EARLIER = formatdate(1_600_000_000, usegmt=True)
SENT = ("identity", *CODINGS)
TAGS = {"strong": '"v1"', "weak": 'W/"v1"', "none": None}
STATES = ("miss", "quick", "strong")

ACCEPTS = [
    None, "", "gzip", "br", "zstd", "identity", "GZip", "x-gzip", "deflate", "compress, sdch;q=0.7",
    "gzip, deflate", "gzip, deflate, br, zstd", "zstd, br, gzip",
    "gzip;q=1.0, br;q=0.5, zstd;q=0.1", "zstd;q=0.9,gzip;q=0.9 , br;q=0.2", "br;q=0, gzip;q=0.001",
    "br;q=0.8, identity", "identity;q=0.5, gzip;q=0.2", "gzip;q=0.5, identity;q=0.5",
    "*", "*;q=0", "*;q=0, gzip", "*;q=0.5, br;q=0", "gzip;q=0.5, *;q=0.1",
    "identity;q=0", "identity;q=0, *", "identity;q=0, zstd", "identity;q=0, deflate, br;q=0.1",
    "gzip;q=0, br;q=0, zstd;q=0", "gzip;q=much, br;q=0.1", "gzip;q=1.5, zstd", ", ,gzip,, ",
]
FEW = [None, "br", "gzip;q=0.5, zstd", "identity;q=0, *"]  # where the tag is not the plain strong one


class Stage:
    """One origin; the edges before it, by state: strong forms are made by one of them alone."""

    def __init__(self, folder):
        self.origin = Origin()
        self.origin.serve_all(lambda target: True, answer)
        self.edges = {
            "quick": Edge(folder / "quick", origin=self.origin.url, settings={"site.compress_max": "0"}),
            "strong": Edge(folder / "strong", origin=self.origin.url),
        }
        self.edges["miss"] = self.edges["quick"]
        self.numbers = itertools.count()
        self.bytes_of = {}  # by what the origin sent, its tag, and a strong tag
        self.kept = {}  # strong forms, by what they are made of, and their coding
        self.clients = {}
        self.resources = {}

    def start(self):
        for name in ("quick", "strong"):
            self.edges[name].start()
            self.clients[name] = self.edges[name].client()
        self.clients["miss"] = self.clients["quick"]
        return self

    def get(self, state, target, request):
        return self.clients[state].request(request.method, target, request.fields())

    def resource(self, state, sent, kind):
        """What is stored, brought into that state when it is first asked for."""
        if state == "miss":
            return Resource(sent, TAGS[kind], {})
        known = self.resources.get((state, sent, kind))
        if known is None:
            known = self.resources[state, sent, kind] = self.prepare(state, sent, kind)
        return known

    def prepare(self, state, sent, kind):
        target, edge = f"/{sent}/{kind}/kept", self.edges[state]
        codings.expect(edge.get(target), BODY)
        # Not only a hit of what is on its way in: who looks just before its commit may fetch anew.
        inspect = "/inspect?url=" + urllib.parse.quote(f"http://site.test{target}", safe="")
        edge.wait_until(lambda: edge.admin("GET", inspect).status == 200, f"{target} is stored")
        strong = {}
        for coding in (CODINGS if state == "strong" else ()):
            if coding != sent:
                strong[coding] = self.wait_strong(edge, target, coding)
        resource = Resource(sent, TAGS[kind], strong)
        assert all(resource.is_strong_tag(tag) for tag in strong.values() if TAGS[kind]), strong
        return resource

    @staticmethod
    def wait_strong(edge, target, coding):
        """Ask until it is there: the length tells it. Its tag."""
        seen = []

        def made():
            seen.append(edge.get(target, {"Accept-Encoding": coding}))
            codings.expect(seen[-1], BODY, coding)
            return seen[-1].get("Content-Length") is not None

        edge.wait_until(made, f"{target} in {coding}", DEADLINE_S)
        return seen[-1].get("ETag")

    def strong_bytes(self, resource, coding):
        """The strong form that is kept of a resource."""
        kind = next(kind for kind, tag in TAGS.items() if tag == resource.tag)
        key = resource.sent, kind, coding
        if key not in self.kept:
            response = self.edges["strong"].get(f"/{resource.sent}/{kind}/kept", {"Accept-Encoding": coding})
            codings.expect(response, BODY, coding)
            self.kept[key] = response.body
        return self.kept[key]

    def finish(self):
        faults = [fault for name in ("quick", "strong") for fault in self.edges[name].finish()]
        self.origin.stop()
        assert not faults and not self.origin.faults, faults + self.origin.faults


def answer(held):
    """/CODING/TAG/NAME. A plain origin: it knows its tag, and no ranges."""
    _, sent, kind, _ = held.target.split("/")
    body = codings.encode(sent, BODY)
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    fields = {"Cache-Control": "max-age=6000", "Content-Type": "text/javascript; charset=utf-8",
              "Last-Modified": CHANGED, "Repr-Digest": f"sha-256=:{digest}:",
              "Content-Digest": f"sha-256=:{digest}:",
              "Content-MD5": base64.b64encode(hashlib.md5(body).digest()).decode()}
    if sent != "identity":
        fields["Content-Encoding"] = sent
    if TAGS[kind]:
        fields["ETag"] = TAGS[kind]
        asked = [match[2] for match in TAG.finditer(held.get("If-None-Match") or "")]
        if TAG.fullmatch(TAGS[kind])[2] in asked:
            held.reply(304, fields)
            return
    held.reply(200, fields, body)


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    running = Stage(tmp_path_factory.mktemp("coding")).start()
    yield running
    running.finish()


def requests(resource, accept):
    """Every way to ask, by name."""
    own = resource.tag_of(resource.negotiated(accept))
    others = [resource.tag_of(coding) for coding in SENT]
    others += ['"v1~br.AAAAAAAAAAA"', 'W/"v1~gzip"', '"v1~identity"']
    tags = list(dict.fromkeys(tag for tag in [resource.tag, own, *others] if tag))
    part = {"accept": accept, "range": "bytes=100-199"}
    yield "plain", Request(accept=accept)
    yield "HEAD", Request("HEAD", accept=accept)
    for tag in [*tags, 'W/"v1"', "*", '"v0"', '"v1~br.AAAAAAAAAA"', '"v1~br"', '"v1~lzw"', '"v11"', '"v"',
                f'"v0", {tags[-1]}, "v2"', ", ".join(tags), ", ".join(reversed(tags))]:
        yield f"if-none-match {tag}", Request(accept=accept, none_match=tag)
    yield "HEAD if-none-match", Request("HEAD", accept=accept, none_match=tags[0])
    yield "since", Request(accept=accept, since=CHANGED)
    yield "range", Request(**part)
    yield "HEAD range", Request("HEAD", **part)
    yield "suffix", Request(accept=accept, range="bytes=-70")
    yield "several", Request(accept=accept, range="bytes=0-9,100-149")
    yield "outside", Request(accept=accept, range="bytes=900000-")
    for tag in [*tags, '"v0"']:
        yield f"if-range {tag}", Request(**part, if_range=tag)
    yield "if-range date", Request(**part, if_range=CHANGED, if_range_holds=True)
    yield "if-range other date", Request(**part, if_range=EARLIER)
    yield "range and condition", Request(**part, none_match=tags[0])


class Check:
    """One answer against what it has to be."""

    def __init__(self, stage, resource, request, response, wanted):
        self.stage, self.resource, self.request = stage, resource, request
        self.response, self.wanted = response, wanted

    def run(self):
        response, wanted = self.response, self.wanted
        vary = [name.strip().lower() for name in ",".join(response.fields.all("Vary")).split(",")]
        if response.status != 416:
            assert vary.count("accept-encoding") == 1, "Vary"
        {200: self.whole, 206: self.part, 304: self.not_modified, 416: self.outside}[response.status]()
        if response.status in (200, 206):
            coding = None if wanted.coding == "identity" else wanted.coding
            if not self.response.fields.get("Content-Type").startswith("multipart/"):
                assert response.get("Content-Encoding") == coding
            self.tag(wanted.tag)
            self.digests()

    def tag(self, tag):
        assert self.response.get("ETag") == tag, f"ETag, {tag} was wanted"

    def whole(self):
        assert self.wanted.status == 200
        response, exact = self.response, self.wanted.form in ("stored", "strong")
        length = response.get("Content-Length")
        if self.request.method == "HEAD":
            assert length == (str(len(self.representation())) if exact else None), "Content-Length"
            return
        assert codings.body_of(response) == BODY, "other bytes"
        assert length == (str(len(response.body)) if exact else None), "Content-Length"
        if self.wanted.form == "stored":
            assert response.body == codings.encode(self.resource.sent, BODY)
        if response.get("ETag") and not response["ETag"].startswith("W/"):
            key = self.resource.sent, self.resource.tag, response["ETag"]
            assert self.stage.bytes_of.setdefault(key, response.body) == response.body, \
                "a strong tag of two bodies"

    def representation(self):
        """The bytes of the representation that is meant."""
        if self.wanted.form == "stored":
            return codings.encode(self.resource.sent, BODY)
        assert self.wanted.form == "strong", "only what is stored has a length and ranges"
        return self.stage.strong_bytes(self.resource, self.wanted.coding)

    def part(self):
        assert self.wanted.status == 206
        response, data = self.response, self.representation()
        if self.request.range.count("-") > 1:
            spans = [(0, 10), (100, 150)]
            assert [(head[-1], got) for head, got in split_parts(response)] == [
                (f"Content-Range: bytes {a}-{b - 1}/{len(data)}", data[a:b]) for a, b in spans]
        else:
            a, b = (len(data) - 70, len(data)) if "=-" in self.request.range else (100, 200)
            assert response["Content-Range"] == f"bytes {a}-{b - 1}/{len(data)}"
            assert response.body == data[a:b]
        assert response["Content-Length"] == str(len(response.body))

    def outside(self):
        assert self.wanted.status == 206 and self.request.range == "bytes=900000-"
        assert self.response["Content-Range"] == f"bytes */{len(self.representation())}"
        assert "Content-Encoding" not in self.response.fields

    def not_modified(self):
        """RFC 9110 section 15.4.5."""
        assert self.wanted.status == 304
        for name in ("Content-Encoding", "Content-Range", "Repr-Digest", "Content-Digest", "Content-MD5"):
            assert name not in self.response.fields
        assert self.response["Cache-Control"] == "max-age=6000"
        self.tag(self.wanted.tag)

    def digests(self):
        """Right, or not there. RFC 9530: of the representation, and of the content as it is sent."""
        response = self.response
        for name in ("Repr-Digest", "Content-Digest", "Content-MD5"):
            if name not in response.fields:
                continue
            if name == "Repr-Digest" or self.request.method == "HEAD":
                data = self.representation()
            else:
                data = response.body
            algorithm = hashlib.sha256 if "Digest" in name else hashlib.md5
            digest = base64.b64encode(algorithm(data).digest()).decode()
            assert response[name] == (f"sha-256=:{digest}:" if "Digest" in name else digest), name


def check(stage, state, sent, kind, accept):
    resource = stage.resource(state, sent, kind)
    faults = []
    before = len(stage.origin.requests)
    for name, request in requests(resource, accept):
        if state == "miss" and request.method == "HEAD" and request.none_match:
            continue  # the origin's to answer: it is not fetched for all
        target = f"/{sent}/{kind}/" + ("kept" if state != "miss" else f"{next(stage.numbers)}")
        response = stage.get(state, target, request)
        wanted = want(resource, request)
        try:
            Check(stage, resource, request, response, wanted).run()
            assert response.cache_status.hit == (state != "miss")
        except (AssertionError, KeyError, ValueError, AttributeError) as fault:
            faults.append(f"{name}: {fault}; {wanted} was wanted, {response} came")
    if state != "miss":
        faults += [f"a hit asked the origin: {held}" for held in stage.origin.requests[before:]]
    else:
        gets = [held for held in stage.origin.requests[before:] if held.method == "GET"]
        assert {held.get("Accept-Encoding") for held in gets} == {"identity"}
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("accept", ACCEPTS, ids=str)
@pytest.mark.parametrize("sent", SENT)
@pytest.mark.parametrize("state", STATES)
def test_every_answer_is_what_the_model_says(stage, state, sent, accept):
    check(stage, state, sent, "strong", accept)


@pytest.mark.parametrize("accept", FEW, ids=str)
@pytest.mark.parametrize("sent", SENT)
@pytest.mark.parametrize("kind", ["weak", "none"])
@pytest.mark.parametrize("state", STATES)
def test_without_a_strong_tag_of_the_origin(stage, state, kind, sent, accept):
    check(stage, state, sent, kind, accept)
