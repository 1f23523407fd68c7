"""Who changes objects and purges them: every kind of purge, hard and soft, without pause."""

import json
import random
import time

import h1
import world
from client import Client

PATIENCE_S = 180.0
KINDS = ("url", "method", "narrow", "wide", "prefix", "host", "all")
WEIGHTS = (400, 200, 200, 20, 12, 6, 2)
COUNTS = (*KINDS, "soft", "refused", "lost")


class Changer:
    def __init__(self, shared, ports, seed):
        self.shared = shared
        self.port, self.admin_port = ports
        self.dice = random.Random(seed)
        self.counts = dict.fromkeys(COUNTS, 0)

    def run(self):
        while not self.shared.over.value:
            life = self.shared.life.value
            if life % 2 == 0:
                try:
                    self.step()
                except (OSError, h1.Truncated) as fault:
                    if self.shared.life.value == life and not self.shared.over.value:
                        raise AssertionError(f"a purge failed: {fault!r}") from fault
                    self.counts["lost"] += 1
            time.sleep(0.01)

    def step(self):
        kind = self.dice.choices(KINDS, WEIGHTS)[0]
        number = world.choose(self.dice)
        soft = self.dice.random() < 0.4
        changes = not soft or self.dice.random() < 0.5
        row, what = self.set_of(kind, number)
        shared = self.shared
        version = shared.now.value + 1
        if changes:
            shared.changed[row] = version
        shared.now.value = version
        if not self.purge(kind, number, what, soft):
            self.counts["refused"] += 1
            return
        if changes:
            shared.fresh[row] = version
        shared.checked[row] = version
        self.counts[kind] += 1
        self.counts["soft"] += soft

    @staticmethod
    def set_of(kind, number):
        """The row of the tables, and what POST /purge calls the same."""
        host, folder = world.host_of(number), world.folder_of(number)
        url = {"files": [f"http://{host}{world.path_of(number)}"]}
        return {
            "url": (world.URL_AT + number, url),
            "method": (world.URL_AT + number, None),
            "narrow": (world.NARROW_AT + number % world.NARROW_TAGS,
                       {"tags": [f"n{number % world.NARROW_TAGS}"]}),
            "wide": (world.WIDE_AT + number % world.WIDE_TAGS,
                     {"tags": [f"w{number % world.WIDE_TAGS}"]}),
            "prefix": (world.PREFIX_AT + number % world.PREFIXES, {"prefixes": [host + folder]}),
            "host": (world.HOST_AT + number % world.HOSTS, {"hosts": [host]}),
            "all": (world.ALL_AT, {"purge_everything": True}),
        }[kind]

    def purge(self, kind, number, what, soft):
        """Is it acknowledged? An answer that nothing was stored is one, too."""
        if kind == "method":
            with Client(self.port) as client:
                client.send_request("PURGE", world.path_of(number),
                                    {"Soft-Purge": "1"} if soft else None,
                                    host=world.host_of(number))
                response = client.read_response(PATIENCE_S)
            assert response.status in (200, 404, 503), f"PURGE: {response} {response.body!r}"
            return response.status != 503
        body = json.dumps({**what, "soft": soft}).encode()
        with Client(self.admin_port) as client:
            client.send_request("POST", "/purge", {"Content-Type": "application/json"}, body,
                                host=f"127.0.0.1:{self.admin_port}")
            response = client.read_response(PATIENCE_S)
        assert response.status in (200, 503), f"purge: {response} {response.body!r}"
        return response.status == 200


def main(shared, ports, seed, report):
    """The process; says what was wrong, or what was done, to `report`."""
    changer, faults = Changer(shared, ports, seed), []
    try:
        changer.run()
    except Exception as fault:
        faults.append(f"{type(fault).__name__}: {fault}")
        shared.over.value = 1
    report.send((changer.counts, faults))
