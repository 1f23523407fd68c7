"""What an answer has to be, given the request, what the origin sent and what is stored of it: a model
from the RFCs and from what brink promises beyond them. It shares nothing with brink's code.

A resource is one text. The origin sends it in one coding; this is the stored representation. Others:

    quick    made for one answer, by the coding's name: a weak tag, no length
    strong   kept beside the stored one: its own strong tag, its length, ranges of its own
    decoded  identity, of what the origin coded: always the same bytes, so a strong tag, but no length

RFC 9110 sections 8.4, 8.8.3, 12.5.3, 13 and 14; RFC 9530.
"""

import re
from dataclasses import dataclass

ORDER = ("br", "zstd", "gzip")  # compress, as it comes
CODINGS = ("gzip", "br", "zstd")
TAG = re.compile(r'(W/)?"([^"]*)"')
LEAST = 0.001  # the least weight that can be written, and acceptable


def weights(accept):
    """{coding: weight} of what brink knows, of an Accept-Encoding's value; None: no such field.

    Without the field, or with an empty one, RFC 9110 would let anything be sent. What a client that
    says nothing can read is identity."""
    named = {}
    for member in (accept or "").split(","):
        name, _, rest = member.strip().partition(";")
        name = name.strip().lower().replace("x-gzip", "gzip")
        weight = 1.0
        if rest:
            found = re.fullmatch(r"\s*[qQ]=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*", rest)
            if not found:
                continue
            weight = float(found[1])
        if name:
            named[name] = weight
    others = named.get("*", 0.0)
    taken = {coding: named.get(coding, others) for coding in CODINGS}
    taken["identity"] = named.get("identity", 0.0 if named.get("*") == 0.0 else LEAST)
    return taken


@dataclass(frozen=True)
class Resource:
    """`sent`: the coding that the origin sends. `tag`: its entity tag, or None. `strong`: the tags of
    the strong forms that are stored, by coding."""
    sent: str
    tag: str | None
    strong: dict

    def form(self, coding):
        if coding == self.sent:
            return "stored"
        if coding == "identity":
            return "decoded"
        return "strong" if coding in self.strong else "quick"

    def negotiated(self, accept):
        """The coding of the answer. Of the same weight, what the origin coded goes first, for it
        needs no work, and identity last, for it is longest. Nothing acceptable: identity, rather
        than nothing (RFC 9110 section 12.5.3)."""
        taken = weights(accept)
        best = max(taken.values())
        if best == 0.0:
            return "identity"
        coded = [coding for coding in (self.sent, *ORDER) if coding != "identity"]
        return next((coding for coding in coded if taken[coding] == best), "identity")

    def tag_of(self, coding):
        """The entity tag in that coding, None without one of the origin."""
        if self.tag is None:
            return None
        weak, inner = TAG.fullmatch(self.tag).groups()
        form = self.form(coding)
        if form == "stored":
            return self.tag
        if form == "strong":
            return self.strong[coding]
        weak = "W/" if weak or form == "quick" else ""
        return f'{weak}"{inner}~{coding}"'

    def is_strong_tag(self, tag):
        """Is this the origin's tag with what brink adds for the strong form in some coding?"""
        weak, inner = TAG.fullmatch(self.tag).groups()
        return re.fullmatch(rf'{weak or ""}"{re.escape(inner)}~(gzip|br|zstd)\.[\w-]{{11}}"', tag)

    def named_by(self, tag):
        """The coding of this resource that an entity tag is of, None: of none (weak comparison)."""
        if self.tag is None:
            return None
        base, (weak, inner) = TAG.fullmatch(self.tag)[2], TAG.fullmatch(tag).groups()
        if inner == base:
            return self.sent
        ours = re.fullmatch(re.escape(base) + r"~(?:(identity)|(gzip|br|zstd)(\.[\w-]{11})?)", inner)
        if ours and (ours[1] or ours[3] or weak):  # of what is made for one answer they are weak
            return ours[1] or ours[2]
        return None

    def confirmed(self, accept, tags):
        """Those of the client's tags that a 304 may name: it has that representation, takes its coding,
        and there is none that it likes better. A cache that sends the tags of all that it has wants
        to know which of them is good for its own client."""
        taken = weights(accept)
        likes = {tag: taken[self.named_by(tag)] for tag in tags if self.named_by(tag)}
        best = max(likes.values(), default=0)
        found = [tag for tag, weight in likes.items() if weight == best > 0]
        return [self.tag if tag.removeprefix("W/") == self.tag.removeprefix("W/") else tag for tag in found]

    def named_by_if_range(self, tag):
        """The coding of the representation whose bytes this tag stands for, None: of none that is
        stored. RFC 9110 section 13.1.5: strong comparison."""
        if tag.startswith("W/") or self.tag is None or self.tag.startswith("W/"):
            return None
        if tag == self.tag:
            return self.sent
        return next((coding for coding, own in self.strong.items() if own == tag), None)


@dataclass(frozen=True)
class Request:
    """`if_range_holds`: of a date, that it is the resource's."""
    method: str = "GET"
    accept: str | None = None
    none_match: str | None = None
    since: str | None = None
    range: str | None = None
    if_range: str | None = None
    if_range_holds: bool = False

    def fields(self):
        names = {"Accept-Encoding": self.accept, "If-None-Match": self.none_match,
                 "If-Modified-Since": self.since, "Range": self.range, "If-Range": self.if_range}
        return {name: value for name, value in names.items() if value is not None}


@dataclass(frozen=True)
class Want:
    """`status`: 206 stands for what the range is good for, 416 too. `tag`: of the 200 and 206 the
    representation's; of a 304 the one that the client has, or that of the representation it would get."""
    status: int
    coding: str
    form: str
    tag: str | None


def want(resource, request):
    """What becomes of the request, of a resource that is fresh and was changed long ago."""
    chosen = resource.negotiated(request.accept)

    def of(status, coding, tag=None):
        return Want(status, coding, resource.form(coding), tag or resource.tag_of(coding))

    if request.none_match is not None:  # RFC 9110 section 13.2.2: before If-Modified-Since, and Range
        known = resource.confirmed(request.accept, [match[0] for match in TAG.finditer(request.none_match)])
        if known or request.none_match == "*":
            return of(304, chosen, *known[:1])
    elif request.since is not None:
        return of(304, chosen)
    if request.range is None or request.method != "GET":
        return of(200, chosen)
    return of(*ranged(resource, request, chosen))


def ranged(resource, request, chosen):
    """The status of a GET with Range, and the coding. A form that is made for one answer has no
    length, so there is no range of it; several parts of what is coded are not sent, for the message
    that they are in is not coded."""
    def part_or(otherwise, coding):
        several = "," in request.range
        return (200, otherwise) if several and coding != "identity" else (206, coding)

    if request.if_range is None:
        if resource.form(chosen) in ("stored", "strong"):
            return part_or(chosen, chosen)
        return part_or(chosen, resource.sent) if weights(request.accept)[resource.sent] > 0 else (200, chosen)
    if request.if_range.startswith(('"', "W/")):
        named = resource.named_by_if_range(request.if_range)
        return (200, chosen) if named is None else (206, named)
    return (206, chosen) if request.if_range_holds and chosen == resource.sent else (200, chosen)
