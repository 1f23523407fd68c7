"""Bytes that change on the disk: found in the store's file by what they say, and changed there."""


def damage(edge, data, at=0):
    """Change the byte at `at` of wherever the file has `data`, in every copy of it; brink need not be
    stopped, for the file is its map."""
    path = edge.store / "data.mdb"
    text = path.read_bytes()
    places, found = [], text.find(data)
    while found != -1:
        places.append(found + at)
        found = text.find(data, found + 1)
    assert places, "the file does not have these bytes"
    with open(path, "r+b") as file:
        for place in places:
            file.seek(place)
            file.write(bytes([text[place] ^ 0x20]))


def damage_body(edge, body, at):
    """Change byte `at` of a stored body whose bytes occur nowhere else."""
    damage(edge, body[at:at + 32])
