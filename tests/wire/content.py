"""Bodies that follow from their URL, so that any answer can be checked without remembering it.

`/g/LENGTH/NAME` has LENGTH bytes that depend on the whole path.
"""

import hashlib
import re

GENERATED = re.compile(r"/g/([0-9]+)/.*")


def path_of(length, name):
    return f"/g/{length}/{name}"


def body_of(path):
    """The one right body of a generated path."""
    match = GENERATED.fullmatch(path)
    assert match, f"{path} is not a generated path"
    return hashlib.shake_128(path.encode()).digest(int(match[1]))


def digest(data):
    return hashlib.sha256(data).hexdigest()
