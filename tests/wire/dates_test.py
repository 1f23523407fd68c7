"""Dates on the wire, in each of the three forms. RFC 9110 section 5.6.7.

A recipient takes all three; what is none of them is no date. If-Modified-Since (13.1.3), If-Range
(13.1.5), Last-Modified (8.8.2) and Expires (RFC 9111 section 5.3) are held against that.
"""

import datetime
import email.utils
import time

import pytest

BODY = b"0123456789" * 20
MODIFIED = 1479213926  # Tue, 15 Nov 2016 12:45:26 GMT


def when(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)


def imf(seconds):
    return email.utils.formatdate(seconds, usegmt=True)


def rfc850(seconds):
    days = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
    months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
    at = when(seconds)
    return f"{days[at.weekday()]}, {at:%d}-{months[at.month - 1]}-{at:%y %H:%M:%S} GMT"


def asctime(seconds):
    return time.asctime(when(seconds).timetuple())


FORMS = [imf, rfc850, asctime]
forms = pytest.mark.parametrize("form", FORMS)


def stored(origin, edge, fields):
    origin.serve("/a", 200, fields, BODY)
    assert edge.get("/a").body == BODY
    edge.wait_for(store_puts=1)
    origin.forget("/a")


@forms
@pytest.mark.parametrize("told", FORMS)
@pytest.mark.parametrize("offset_s, status", [(0, 304), (1, 304), (-1, 200)],
                         ids=["equal", "later", "earlier"])
def test_9110_13_1_3_if_modified_since(origin, edge, form, told, offset_s, status):
    """In whichever form either side writes its date."""
    stored(origin, edge, {"Cache-Control": "max-age=600", "Last-Modified": told(MODIFIED)})
    response = edge.get("/a", {"If-Modified-Since": form(MODIFIED + offset_s)})
    assert response.cache_status.hit
    assert (response.status, response.body) == (status, b"" if status == 304 else BODY)


@forms
@pytest.mark.parametrize("told", FORMS)
@pytest.mark.parametrize("offset_s, status", [(0, 206), (1, 200), (-1, 200)],
                         ids=["equal", "later", "earlier"])
def test_9110_13_1_5_if_range(origin, edge, form, told, offset_s, status):
    """An exact match of dates, not of texts: later is another representation, too."""
    stored(origin, edge, {"Cache-Control": "max-age=600", "Last-Modified": told(MODIFIED)})
    response = edge.get("/a", {"Range": "bytes=5-9", "If-Range": form(MODIFIED + offset_s)})
    assert response.cache_status.hit
    assert (response.status, response.body) == (status, BODY[5:10] if status == 206 else BODY)


@forms
@pytest.mark.parametrize("age_s, status", [(10, 200), (100, 206)])
def test_9110_8_8_2_2_a_date_just_before_the_response_is_a_weak_validator(origin, edge, form, age_s,
                                                                          status):
    """Modified within the minute before its Date: it may have changed twice in that second."""
    now = int(time.time())
    stored(origin, edge, {"Cache-Control": "max-age=600", "Date": imf(now),
                          "Last-Modified": form(now - age_s)})
    response = edge.get("/a", {"Range": "bytes=5-9", "If-Range": form(now - age_s)})
    assert response.status == status


# What is nearly a date. The first is its good neighbour.
NEARLY = [
    ("a date", "Tue, 15 Nov 2016 12:45:26 GMT", True),
    ("a leap second", "Tue, 15 Nov 2016 12:45:60 GMT", True),
    ("no comma", "Tue 15 Nov 2016 12:45:26 GMT", False),
    ("another zone", "Tue, 15 Nov 2016 12:45:26 CET", False),
    ("an offset", "Tue, 15 Nov 2016 12:45:26 +0000", False),
    ("no zone", "Tue, 15 Nov 2016 12:45:26", False),
    ("lower case", "tue, 15 nov 2016 12:45:26 gmt", False),
    ("one digit of a day", "Tue, 5 Nov 2016 12:45:26 GMT", False),
    ("one digit of an hour", "Tue, 15 Nov 2016 2:45:26 GMT", False),
    ("two digits of a year", "Tue, 15 Nov 16 12:45:26 GMT", False),
    ("two blanks", "Tue, 15  Nov 2016 12:45:26 GMT", False),
    ("day 31 of November", "Tue, 31 Nov 2016 12:45:26 GMT", False),
    ("hour 24", "Tue, 15 Nov 2016 24:45:26 GMT", False),
    ("ISO 8601", "2016-11-15T12:45:26Z", False),
    ("a number", "1479213926", False),
    ("asctime with a zone", "Tue Nov 15 12:45:26 2016 GMT", False),
    ("more behind it", "Tue, 15 Nov 2016 12:45:26 GMT x", False),
]
nearly = pytest.mark.parametrize("why, text, is_date", NEARLY, ids=[case[0] for case in NEARLY])


@nearly
def test_9110_13_1_3_what_is_no_date_is_no_condition(origin, edge, why, text, is_date):
    stored(origin, edge, {"Cache-Control": "max-age=600", "Last-Modified": imf(MODIFIED - 86400)})
    response = edge.get("/a", {"If-Modified-Since": text})
    assert response.cache_status.hit, why
    assert response.status == (304 if is_date else 200)


@nearly
def test_9110_8_8_2_nor_a_validator(origin, edge, why, text, is_date):
    """Towards the origin; and no heuristic goes by it."""
    stored(origin, edge, {"Cache-Control": "max-age=10", "Age": "60", "Last-Modified": text})
    client = edge.client()
    client.send_request("GET", "/a")
    held = origin.next_request()
    assert ("If-Modified-Since" in held.fields) == is_date, why
    held.reply(200, {"Cache-Control": "no-store"}, b"new")
    assert client.read_response().body == b"new"


@forms
def test_9110_8_8_2_the_origin_is_asked_by_its_own_date(origin, edge, form):
    stored(origin, edge, {"Cache-Control": "max-age=10", "Age": "60", "Last-Modified": form(MODIFIED)})
    client = edge.client()
    client.send_request("GET", "/a")
    held = origin.next_request()
    assert held["If-Modified-Since"] in (form(MODIFIED), imf(MODIFIED))
    held.reply(304, {"Cache-Control": "max-age=600", "Last-Modified": form(MODIFIED)})
    response = client.read_response()
    assert (response.status, response.body) == (200, BODY)
    edge.wait_for(store_updates=1)
    assert edge.get("/a").cache_status.hit


@forms
@pytest.mark.parametrize("years, fresh", [(1, True), (10, True), (-1, False), (-20, False)])
def test_9111_5_3_expires(origin, edge, form, years, fresh):
    now = int(time.time())
    origin.serve("/a", 200, {"Date": imf(now), "Expires": form(now + years * 31557600),
                             "ETag": '"v1"'}, BODY)
    edge.get("/a")
    edge.wait_stored(1)
    assert edge.get("/a").cache_status.hit == fresh


@pytest.mark.parametrize("text", ["Tue, 19 Jan 2038 03:14:07 GMT", "Tue, 19 Jan 2038 03:14:08 GMT",
                                  "Sun, 07 Feb 2106 06:28:16 GMT", "Wed, 21 Nov 2286 04:46:39 GMT",
                                  "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_9111_5_3_an_expires_beyond_every_type_is_fresh(origin, edge, text):
    """The suite's tests of this lack a comma (tests/conformance/checks.txt)."""
    origin.serve("/a", 200, {"Expires": text}, BODY)
    edge.get("/a")
    edge.wait_stored(1)
    response = edge.get("/a")
    assert response.cache_status.hit and response.cache_status.ttl > 0


@pytest.mark.parametrize("year", ["94", "16"])
def test_9110_5_6_7_two_digits_of_a_year_are_not_fifty_years_ahead(origin, edge, year):
    """Sunday, 06-Nov-94 is of 1994, for 2094 is more than fifty years away."""
    stored(origin, edge, {"Cache-Control": "max-age=600", "Last-Modified": imf(MODIFIED)})
    response = edge.get("/a", {"If-Modified-Since": f"Sunday, 06-Nov-{year} 08:49:37 GMT"})
    assert response.status == 200


def test_9110_8_8_3_obs_text_is_part_of_a_tag(origin, edge):
    """Bytes above 0x7f, compared as bytes. node cannot ask this: it sends UTF-8 and Latin-1."""
    tag = '"caf\xe9\xfc"'
    stored(origin, edge, {"Cache-Control": "max-age=600", "ETag": tag})
    assert edge.get("/a", {"If-None-Match": tag}).status == 304
    assert edge.get("/a", {"If-None-Match": '"caf\xe9\xfd"'}).status == 200
