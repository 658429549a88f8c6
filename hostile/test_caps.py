"""What many clients, or one with patience, may take in all: bodies received at once, and entries
under one key."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from faults.fault_test import by_tier
from hostile.hostile_test import HostileTest
from hostile.raw_client import RawClient
from interop.http_client import get_entries, post_blob, put_entry

WRITES = 4
KEY_BYTES = 16 << 20
KEY_ENTRIES = 10_000
LARGE_BYTES = 60_000
WRITERS_AT_ONCE = 32
DIGEST = "0" * 128


class Caps(HostileTest):
    def test_writes_at_once(self):
        self.check_writes(self.configured(f"limit.writes = {WRITES}"))

    def test_writes_at_once_uncapped(self):
        with self.is_noticed("one more was taken"):
            self.check_writes(self.configured())

    def check_writes(self, server):
        with ExitStack() as stack:
            uploads = [stack.enter_context(begun_upload(server)) for _ in range(WRITES)]
            for answer in (post_blob(server, b"more"), put_entry(server, "key", entry("more"))):
                self.assertEqual(answer.status, 503, "one more was taken")
                self.assertGreater(int(answer.headers["Retry-After"]), 0)
                self.counts["refused"] += 1
            # Reading goes on, and so does what was begun.
            self.assertEqual(get_entries(server, "key").status, 404)
            uploads[0].send(b"hello")
            self.assertEqual(uploads[0].answer().status, 201)
            self.assertEqual(post_blob(server, b"more").status, 201)
            # One that goes away gives its place back, too.
            with begun_upload(server):
                self.assertEqual(post_blob(server, b"more").status, 503)
        self.assertEqual(put_entry(server, "key", entry("more")).status, 201)

    def test_bytes_of_a_key(self):
        self.check_key(self.configured(), LARGE_BYTES, KEY_BYTES // LARGE_BYTES)

    def test_bytes_of_a_key_naively_kept(self):
        with self.is_noticed("no end"):
            self.check_key(self.naive(), LARGE_BYTES, KEY_BYTES // LARGE_BYTES)

    def test_entries_of_a_key(self):
        """The many small ones take their time; in a hurry it is enough that some are taken."""
        server = self.configured()
        if by_tier(True, False):
            self.fill(server, 0, 1_000)
            self.assertEqual(len(json.loads(get_entries(server, "full").body)), 1_000)
        else:
            self.check_key(server, 0, KEY_ENTRIES)

    def check_key(self, server, padding_bytes, most):
        taken, refused = self.fill(server, padding_bytes, most + WRITERS_AT_ONCE)
        self.counts["taken"] += taken
        self.assertGreater(len(refused), 0, "no end")
        # Those under way at the same time do not see one another.
        self.assertLessEqual(abs(taken - most), WRITERS_AT_ONCE)
        for answer in refused:
            self.assertEqual(answer.status, 403)
            self.assertEqual(answer.body.count(b"\n"), 1, answer.body)
        self.assertEqual(len(json.loads(get_entries(server, "full").body)), taken)
        self.assertEqual(put_entry(server, "other", entry("small")).status, 201)

    def fill(self, server, padding_bytes, number):
        padding = "x" * padding_bytes
        with ThreadPoolExecutor(WRITERS_AT_ONCE) as writers:
            answers = list(writers.map(
                lambda n: put_entry(server, "full", entry(f"{n}{padding}")), range(number)
            ))
        refused = [answer for answer in answers if answer.status != 201]
        return len(answers) - len(refused), refused


def begun_upload(server):
    """A client whose body the server waits for."""
    client = RawClient(server.address)
    client.send(
        b"POST /shacache/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    )
    answer = client.answer()
    if answer.status != 100:
        raise AssertionError(f"an upload was answered {answer.status}")
    return client


def entry(note):
    return json.dumps([json.dumps({"sha512": DIGEST, "note": note}), ""])
