"""tools/simulate: its SIEVE, LRU and FIFO against plain ones, its ways to read, what it refuses.

usage: simulate.py PROGRAM [unittest argument...]
"""

import random
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

PROGRAM = sys.argv.pop(1)
UNIT = 64  # what sizes are rounded to


def run(*args, stdin=""):
    return subprocess.run([PROGRAM, *map(str, args)], input=stdin, capture_output=True, text=True,
                          timeout=60, check=False)


def rows(*args, stdin=""):
    """{(cache, policy): (missed objects, missed bytes, GB written, not admitted)}, in percent."""
    done = run(*args, stdin=stdin)
    assert done.returncode == 0, done.stderr
    found = {}
    for line in done.stdout.splitlines()[2:]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) < 5:
            continue
        numbers = [float(re.sub(r"[ %]", "", cell) or 0) for cell in cells[2:]]
        found[cells[0], cells[1]] = numbers[0], numbers[1], numbers[2], numbers[-1]
    return found


def policies(*args, stdin=""):
    return {policy: row for (_, policy), row in rows(*args, stdin=stdin).items()}


class Sieve:
    """As in the paper: a queue, a bit, a hand from the tail to the head; new ones at the head."""

    def __init__(self):
        self.queue, self.visited, self.hand = [], {}, None  # queue[0] is the tail

    def hit(self, key):
        self.visited[key] = True

    def add(self, key):
        self.queue.append(key)
        self.visited[key] = False

    def evict(self):
        at = self.hand or 0
        while self.visited[self.queue[at]]:
            self.visited[self.queue[at]] = False
            at = (at + 1) % len(self.queue)
        key = self.queue.pop(at)
        self.hand = at if at < len(self.queue) else None  # past the head: none, even when others come
        return key


class Lru:
    moves = True

    def __init__(self):
        self.order = {}

    def hit(self, key):
        if self.moves:
            self.order[key] = self.order.pop(key)

    def add(self, key):
        self.order[key] = True

    def evict(self):
        key = next(iter(self.order))
        del self.order[key]
        return key


class Fifo(Lru):
    moves = False


def misses(policy, trace, room):
    sizes, used, missed = {}, 0, 0
    for key, size in trace:
        if key in sizes:
            policy.hit(key)
            continue
        missed += 1
        if size > room // 8:
            continue
        size = -(-size // UNIT)
        while used + size > room // UNIT:
            used -= sizes.pop(policy.evict())
        policy.add(key)
        sizes[key] = size
        used += size
    return missed


def csv(trace):
    return "".join(f"{at},{key},{size},-1\n" for at, (key, size) in enumerate(trace))


class Simulate(unittest.TestCase):
    def test_each_policy_is_what_it_is_called(self):
        dice = random.Random(7)
        trace = []
        for _ in range(10000):
            key = int(dice.paretovariate(0.7)) % 3000
            trace.append((key, 1 + key * 7919 % 5000))
        for room in (64000, 640000):
            found = policies("-", "--size", room, stdin=csv(trace))
            for name, policy in (("SIEVE", Sieve), ("LRU", Lru), ("FIFO", Fifo)):
                self.assertEqual(found[name][0], misses(policy(), trace, room) / 100, (name, room))

    def test_sieve_beats_lru_where_popularity_stays(self):
        for zipf in (0.6, 0.9, 1.2):
            found = rows("--zipf", zipf, "--one-hit", 0.3, "--requests", 60000, "--objects", 6000,
                         "--size", "1%,10%", "--seed", 42)
            caches = sorted({cache for cache, policy in found if policy == "LRU"})
            self.assertEqual(len(caches), 2)
            for cache in caches:
                sieve, lru, fifo = (found[cache, name] for name in ("SIEVE", "LRU", "FIFO"))
                self.assertLess(sieve[0], lru[0] - 1)
                self.assertLess(sieve[1], lru[1] - 1)
                self.assertLess(lru[0], fifo[0])

    def test_the_place_in_the_list_is_kept(self):
        """Survivors at the newest end would be CLOCK: it misses more."""
        found = policies("--reinsert", "--requests", 60000, "--objects", 6000, "--size", "5%")
        self.assertLess(found["SIEVE"][0],
                        found["SIEVE, survivors to the newest end"][0] - 2)

    def test_the_second_hit_saves_writing(self):
        args = ("--requests", 60000, "--objects", 6000, "--one-hit", 0.5, "--size", "5%")
        plain, second = policies(*args), policies(*args, "--second-hit")
        self.assertLess(second["SIEVE"][2], plain["SIEVE"][2] * 0.6)
        self.assertLess(second["SIEVE"][0], plain["SIEVE"][0] + 1)
        self.assertGreater(second["SIEVE"][3], 0)
        self.assertEqual(plain["SIEVE"][3], 0)

    def test_a_flood_leaves_a_share_alone(self):
        args = ("--requests", 60000, "--objects", 1000, "--one-hit", 0.9, "--size", "10%")
        plain = policies(*args, "--shares", "3=50")
        shared = policies(*args, "--shares", "1=50")
        self.assertLess(shared["SIEVE, group 1"][0], 70)
        self.assertGreater(plain["SIEVE"][0], shared["SIEVE"][0])

    def test_the_same_seed_is_the_same_trace(self):
        args = ("--requests", 20000, "--objects", 2000)
        self.assertEqual(rows(*args), rows(*args))
        self.assertNotEqual(rows(*args), rows(*args, "--seed", 2))

    def test_a_file_may_have_a_header_comments_blanks_and_other_columns(self):
        plain = policies("-", "--size", "1MB", stdin="1,5,100,-1\n2,5,100,3\n3,6,100,-1\n")
        with tempfile.TemporaryDirectory() as folder:
            other = Path(folder) / "trace.csv"
            other.write_text("version,when,size,id\n# made by hand\n\n9, 1, 100, 5\r\n"
                             "9,2 ,100,\t5\n9,3,100,6", encoding="ascii")
            found = policies(other, "--columns", "2,4,3", "--size", "100%", "--object-max", "100%")
        self.assertEqual(plain["LRU"][0], 66.67)
        self.assertEqual(found["LRU"][0], 66.67)
        self.assertEqual(found["endless"][0], 66.67)

    def test_bad_lines_are_refused_by_number(self):
        good = "1,2,3,4\n"
        for bad, why in (("1,2\n", "no size in column 3"), ("1,-2,3\n", "no object id in column 2"),
                         ("1,2,3x,4\n", "no size in column 3"), ("a1,2,3,4\n", "no time in column 1"),
                         ("1,99999999999999999999,3\n", "no object id in column 2"),
                         ("1,2,999999999999999\n", "a size above 137 GB"),
                         ("1," + "2" * 5000 + ",3\n", "a line longer than")):
            done = run("-", "--size", "1MB", stdin=good + "\n" + bad)
            self.assertEqual(done.returncode, 1, bad)
            self.assertIn(f"-:3: {why}", done.stderr)
        done = run("/nonexistent/trace", "--size", "1MB")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("/nonexistent/trace: No such file", done.stderr)

    def test_bad_options_are_refused(self):
        for args, why in ((("-",), "standard input is read once"), (("a", "b"), "one trace"),
                          (("--size", "0"), "a cache of nothing"),
                          (("--size", "1%,2%,3%,4%,5%,6%,7%,8%,9%"), "more than 8 sizes"),
                          (("--zipf", "x"), "no number"), (("--shares", "1"), "GROUP=PERCENT"),
                          (("--shares", "1=60,2=50"), "more than 100 %"),
                          (("--columns", "1,2"), "three or four"), (("--objects", "0"), "nothing")):
            done = run(*args)
            self.assertEqual((done.returncode, done.stdout), (1, ""), args)
            self.assertIn(why, done.stderr)
        done = run("-", "--size", "1MB")
        self.assertIn("the trace has no requests", done.stderr)

    def test_it_stops_in_time_and_says_so(self):
        done = run("--seconds", 0, "--size", "10MB", "--requests", 100000, "--objects", 1000)
        self.assertEqual(done.returncode, 0)
        self.assertIn("Stopped by --seconds after 4096 requests.", done.stdout)

    def test_the_help_fits_a_screen(self):
        text = run("--help").stdout.splitlines()
        self.assertLessEqual(len(text), 24)
        self.assertLessEqual(max(map(len, text)), 80)


if __name__ == "__main__":
    unittest.main()
