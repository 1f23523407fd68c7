"""What all parts of the soak test agree on: the objects, their bytes, and which of their versions
may still be seen. Everything follows from an object's number, a version and the tables here, which
the processes share.

A version is a number of one clock, `now`. Who changes objects takes the next number, writes it to
`changed` for the set of objects that change (one URL, a prefix, a host, a tag, all), moves the clock
on, and then purges that set. The origin answers with the newest version that `changed` names for an
object, and says in X-Checked how late it was. When the purge is acknowledged, the number goes to
`fresh` and `checked`: nothing older may be seen by a request that begins from then on, however often
brink is killed in between.
"""

import hashlib
import multiprocessing
import random

OBJECTS = 6000
HOSTS, FOLDERS, WIDE_TAGS, NARROW_TAGS = 4, 8, 50, 1999
PREFIXES = HOSTS * FOLDERS
LANGUAGES = ("de", "en", "fr")
MIB = 1 << 20
LARGEST = 64 * MIB

# Where each kind of set has its rows in the tables.
ALL_AT = 0
HOST_AT = 1
PREFIX_AT = HOST_AT + HOSTS
WIDE_AT = PREFIX_AT + PREFIXES
NARROW_AT = WIDE_AT + WIDE_TAGS
URL_AT = NARROW_AT + NARROW_TAGS
ROWS = URL_AT + OBJECTS

TAPE = 1048573  # a prime: no piece of the store fits twice into it
_text = random.Random(22).randbytes(TAPE).hex()[:TAPE].encode()
_tapes = tuple(tape + tape for tape in (random.Random(20).randbytes(TAPE), _text))

# A share of all objects, and from where to where their lengths are, evenly by their logarithm.
LENGTHS = ((0.55, 100, 4096), (0.90, 4096, 100_000), (0.985, 100_000, MIB), (0.998, MIB, 8 * MIB),
           (1.0, 8 * MIB, LARGEST))


def _lengths():
    dice = random.Random(21)
    lengths = []
    for _ in range(OBJECTS):
        share, place = dice.random(), dice.random()
        least, most = next((a, b) for upto, a, b in LENGTHS if share <= upto)
        lengths.append(int(least * (most / least) ** place))
    lengths[OBJECTS // 2] = LARGEST
    return lengths


LENGTH = _lengths()


class Shared:
    """Memory of all processes, written by one each: the changer, or who keeps brink alive."""

    def __init__(self):
        self.changed = multiprocessing.RawArray("q", ROWS)
        self.fresh = multiprocessing.RawArray("q", ROWS)
        self.checked = multiprocessing.RawArray("q", ROWS)
        self.now = multiprocessing.RawValue("q", 0)
        self.life = multiprocessing.RawValue("q", 1)  # odd: brink is down, or about to be
        self.over = multiprocessing.RawValue("b", 0)


def newest(table, number):
    """The largest that a table says of an object."""
    return max(table[row] for row in rows_of(number))


def rows_of(number):
    return (ALL_AT, HOST_AT + number % HOSTS, PREFIX_AT + number % PREFIXES,
            WIDE_AT + number % WIDE_TAGS, NARROW_AT + number % NARROW_TAGS, URL_AT + number)


def host_of(number):
    return f"h{number % HOSTS}.test"


def folder_of(number):
    return f"/f{number % PREFIXES // HOSTS}/"


def path_of(number):
    return f"{folder_of(number)}{number}"


def tags_of(number):
    return f"w{number % WIDE_TAGS} n{number % NARROW_TAGS}"


def varies(number):
    """By Accept-Language."""
    return number % 7 == 3


def is_text(number):
    """It can be compressed, to half of its length: its forms in other codings are kept beside it."""
    return number % 3 == 1 and 1000 < LENGTH[number] <= MIB


def is_chunked(number):
    return number % 5 == 2


def is_flaky(number):
    """The origin sometimes cuts its answer off."""
    return number % 53 == 17


def is_slow(number):
    """The origin takes its time: a kill finds such an object half stored."""
    return number % 13 == 9


def lifetime_s(number):
    return 2 if number % 11 == 6 else 3600


def etag_of(number, version, language):
    return f'"{number}-{version}-{language}"' if varies(number) else f'"{number}-{version}"'


def plain_etag(etag):
    """The origin's, of which brink has made that of another coding."""
    return etag.removeprefix("W/").partition("~")[0].rstrip('"') + '"'


def version_of(etag):
    return int(etag.strip('"').split("-")[1])


def start_of(number, version, language):
    """Where on a tape the body of this version begins; from TAPE on: on that of text."""
    text = etag_of(number, version, language).encode()
    start = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") % TAPE
    return start + TAPE if is_text(number) else start


def body_part(start, offset, length):
    """Bytes of a body; `length` up to TAPE."""
    at = (start + offset) % TAPE
    return _tapes[start // TAPE][at:at + length]


def choose(dice):
    """An object: Zipf, the popular ones spread over all."""
    return int(OBJECTS ** dice.random()) * 2654435761 % OBJECTS
