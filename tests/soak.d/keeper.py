"""Who keeps brink alive, and kills it: its lives, one after the other, and what is looked at in
each."""

import json
import random
import subprocess
import threading
import time

import world
from edge import Edge, binary

SIZES_MB = (256, 320, 192, 384)  # one after the other
LIVES_OF_A_SIZE = 6
FILES_MAX = 16 * world.MIB  # beside data.mdb: the index, locks
LAG_MAX = 256  # commits within a turn of a loop: far more than a machine that stalls can explain
WATCH_S = 0.05
CHECK_S = 600
PATIENCE_S = 180
SETTINGS = {"store.object_max": "40MB", "store.queue": "32MB", "site.slice_above": "24MB",
            "site.slice": "2MB", "store.scan_wait": "0"}
NEVER = ("store_bad_records", "store_resets", "store_commit_errors")
SUMS = ("requests", "store_puts", "store_puts_refused", "store_evictions", "store_rewrites",
        "store_map_full", "store_orphans", "store_removals", "purges", "cache_hit", "cache_miss",
        "cache_collapsed", "cache_revalidated", "partial_objects", "slices_fetched",
        "store_cold_reads", "variants_made_gzip", "variant_gzip_sent", "variants_failed")
MOST = ("store_reader_lag", "store_file_bytes", "store_used_bytes", "store_queue_bytes",
        "fill_bytes", "store_index_bytes")


class Broken(Exception):
    """brink is not as it has to be."""


class Keeper:
    def __init__(self, shared, folder, origin_port, seed, can_resize):
        self.shared = shared
        self.dice = random.Random(seed)
        self.can_resize = can_resize
        self.size_n = 0
        self.bound_len = self.size_mb() * world.MIB
        self.edge = Edge(folder / "edge", origin=f"http://127.0.0.1:{origin_port}",
                         settings=SETTINGS, store_size=f"{SIZES_MB[0]}MB")
        self.sums = dict.fromkeys(SUMS, 0)
        self.most = dict.fromkeys(MOST, 0)
        self.seen = {}
        self.largest_disk = self.most_memory_kib = 0
        self.kills = self.stops = self.resizes = self.checks = 0
        self.live_checks = self.live_checked = 0
        self.start_s = []
        self.check_text = ""
        self.fault = None
        self.over = threading.Event()
        self.lock = threading.Lock()  # the watch looks, or brink is being replaced

    # --- watching

    def watch(self):
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()

    def _watch(self):
        rounds = 0
        while not self.over.wait(WATCH_S):
            rounds += 1
            try:
                with self.lock:
                    self.look_at_files()
                    if rounds % 5 == 0 and self.shared.life.value % 2 == 0:
                        self.look_at_counters()
            except Broken as fault:
                self.fault = fault
                self.shared.over.value = 1
                return
            except OSError:
                pass  # a file that has just gone

    def look_at_files(self):
        """A store that was made smaller keeps its old file until what fits is in a new one."""
        size = self.size_mb() * world.MIB
        disk = 0
        for path in self.edge.store_files():
            status = path.stat()
            disk += status.st_blocks * 512
            if path.name == "data.mdb" and status.st_size > self.bound_len:
                raise Broken(f"the file has {status.st_size} bytes, of {self.bound_len} allowed")
            if path.name == "data.mdb" and status.st_size <= size:
                self.bound_len = size
            if path.name == "data.mdb.new" and status.st_size > size:
                raise Broken(f"the new file has {status.st_size} bytes, of {size} allowed")
        self.largest_disk = max(self.largest_disk, disk)
        allowed = FILES_MAX + size + (self.bound_len if self.is_shrinking() else 0)
        if disk > allowed:
            raise Broken(f"the store takes {disk} bytes of the disk, of {allowed} allowed")

    def is_shrinking(self):
        return self.bound_len > self.size_mb() * world.MIB

    def look_at_counters(self):
        try:
            self.seen = seen = self.edge.stats()
        except (OSError, AssertionError, ValueError) as fault:
            if self.edge.process.poll() is not None:
                raise Broken(f"brink ended by itself: {self.edge.log_text()[-3000:]}") from fault
            return
        for name in NEVER:
            if seen[name] > 0:
                raise Broken(f"{name} is {seen[name]}")
        for name in MOST:
            self.most[name] = max(self.most[name], seen[name])
        if seen["store_reader_lag"] > LAG_MAX:
            raise Broken(f"a read transaction is {seen['store_reader_lag']} commits old")
        if seen["store_used_bytes"] > max(seen["store_size_bytes"], self.bound_len):
            raise Broken("more pages are in use than there may be")
        self.most_memory_kib = max(self.most_memory_kib, self.edge.memory_kib())

    # --- lives

    def size_mb(self):
        return SIZES_MB[self.size_n % len(SIZES_MB)]

    def start(self):
        began = time.monotonic()
        self.edge.start()
        self.start_s.append(time.monotonic() - began)
        self.shared.life.value += 1

    def end(self, how):
        """However: nothing that goes wrong from here on is brink's fault. The counters are of a
        moment before."""
        with self.lock:
            self.look_at_counters()
            try:
                self.look_at_check()
            except (OSError, AssertionError):
                pass  # too busy to say
            self.shared.life.value += 1
            for name in SUMS:
                self.sums[name] += self.seen.get(name, 0)
            how()

    def kill(self):
        self.end(self.edge.kill)
        self.kills += 1

    def stop(self):
        self.end(lambda: self.edge.stop(timeout=120))
        self.stops += 1

    def resize(self):
        self.stop()
        self.size_n += 1
        self.resizes += 1
        self.edge.store_size = f"{self.size_mb()}MB"
        self.bound_len = max(self.bound_len, self.size_mb() * world.MIB)

    def next_life(self):
        """One more end and beginning."""
        share = self.dice.random()
        if self.can_resize and (self.kills + self.stops) % LIVES_OF_A_SIZE == LIVES_OF_A_SIZE - 1:
            self.resize()
        elif share < 0.85:
            self.kill()
        else:
            self.stop()
        if self.dice.random() < 0.15:
            self.check()
        self.start()
        if self.dice.random() < 0.5:
            self.start_check()

    # --- between two lives

    def check(self, *words):
        """Every object and every page of the store, by a program of its own."""
        run = subprocess.run([binary("soak-check"), str(self.edge.store), self.edge.store_size,
                              *words], capture_output=True, text=True, timeout=CHECK_S, check=False)
        self.checks += 1
        self.check_text = run.stdout.strip()
        if run.returncode != 0:
            raise Broken(f"the store is not right: {run.stdout} {run.stderr}")

    def settle(self):
        """With all clients gone, nobody reads: two purges are two commits, and then the gauge says so."""
        for _ in range(2):
            self.edge.purge(tags=["nothing"])
        self.edge.expect_stats(store_reader_lag=0, fills_open=0, requests_active=0,
                               timeout=PATIENCE_S)
        self.edge.expect_stats(store_resizing=0, store_index_whole=1, timeout=PATIENCE_S)
        with self.lock:
            self.look_at_files()
        if self.is_shrinking():
            raise Broken("the file is as long as before the store was made smaller")

    def start_check(self):
        """Of the whole store, beside everything else."""
        answer = self.edge.admin("POST", "/check", {"rate": "0"},
                                 {"Content-Type": "application/json"})
        self.live_checks += answer.status == 200

    def look_at_check(self):
        """One that came to its end before this life does."""
        answer = self.edge.admin("GET", "/check")
        found = json.loads(answer.body)
        failed = found["state"] == "failed" and not self.seen["store_resizes"]  # nor a new file
        if found["bad"] > 0 or found["lost_pages"] != 0 or failed:
            raise Broken(f"a check while serving says {found}")
        self.live_checked += found["state"] == "done"

    def finish(self):
        self.over.set()
        with self.lock:
            return self.edge.finish()
