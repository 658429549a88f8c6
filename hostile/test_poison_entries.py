"""Entries that are bombs, or that the old client would choke on: refused at once when they are put,
left out when they got into the archive by another way, and the old client still lists the good one.
"""

import json
import time

from hostile.hostile_test import HostileTest
from interop.http_client import get_entries, put_entry
from interop.python_client import PythonClient, Signer

LIMIT_S = 0.05
TRIES = 5
KEY = "poisoned"
DIGEST = "0" * 128
BODY_LIMIT_BYTES = 64 * 1024


def nested(depth):
    return "[" * depth + "]" * depth


def entry(metadata, signature=""):
    return json.dumps([metadata, signature])


def with_digest(rest):
    return f'{{"sha512": "{DIGEST}", {rest}}}'


BOMBS = {
    "100,000 lists in one another": nested(100_000),
    "as many as fit in a body": nested(32_000),
    "metadata of as many": entry(with_digest(f'"a": {nested(32_000)}')),
    "objects in one another": entry(with_digest('"a": ' + '{"a":' * 10_000 + "1" + "}" * 10_000)),
    "lists without end": "[" * 60_000,
    "1,000,000 names": entry(with_digest(", ".join(f'"{n}": 1' for n in range(1_000_000)))),
    "the same name twice": entry(with_digest('"a": 1, "a": 2')),
    "two digests": entry(with_digest(f'"sha512": "{"1" * 128}"')),
    "one byte too many": entry(with_digest('"a": "b"')).ljust(BODY_LIMIT_BYTES + 1),
    "a body of spaces": " " * BODY_LIMIT_BYTES,
    "a number as long as a body": "1" * 60_000,
    "a digit too many in the digest": entry(f'{{"sha512": "{DIGEST}0"}}'),
    "no digest": entry('{"a": 1}'),
    "a list as metadata": entry('["sha512"]'),
    "broken metadata": entry('{"sha512": '),
    "names for no number outside": "[NaN, 1e999]",
}
# What select() of the old client raises on, for the whole key.
POISONS = {
    "a signature that is no base64": entry(with_digest('"a": 1'), "A"),
    "a signature of other signs": entry(with_digest('"a": 1'), "????"),
    "a signature with padding inside": entry(with_digest('"a": 1'), "AA==BB"),
    "a signature that is not ASCII": entry(with_digest('"a": 1'), "AAAé"),
    "half of a surrogate pair": '["\\ud800", "AAAA"]',
    "three elements": '["{}", "", ""]',
    "one element": '["{}"]',
    "a number": "1",
    "a number in the list": "[1, 2]",
    "null": "null",
    "an object": '{"a": 1}',
    "metadata that is an object": f'[{{"sha512": "{DIGEST}"}}, ""]',
    "a signature that is null": f'["{{}}", null]',
    "a text": '"ab"',
}


class PoisonEntries(HostileTest):
    def setUp(self):
        super().setUp()
        self.signer = Signer(self.folder, "signer")

    def test_bombs_are_refused_at_once(self):
        server = self.configured()
        good = self.put_good_entry(server)
        self.check_refusals(server, {**BOMBS, **POISONS})
        self.check_old_client(server)
        self.assertEqual(json.loads(get_entries(server, KEY).body), good)

    def test_bombs_naively_taken(self):
        server = self.naive()
        with self.is_noticed("was taken"):
            self.check_refusals(server, POISONS)

    def test_poison_that_was_naively_taken(self):
        """It is poison: with any of these the old client lists nothing."""
        for name in ("three elements", "a number", "a signature that is no base64"):
            server = self.naive() if name == "three elements" else server
            key = f"{KEY}-{len(name)}"
            self.put_good_entry(server, key)
            self.check_old_client(server, key)
            put_entry(server, key, POISONS[name])
            with self.is_noticed("exit 1"):
                self.check_old_client(server, key)
            self.counts["poisons that work"] += 1

    def test_poison_that_was_copied_into_the_archive(self):
        server = self.configured()
        good = self.put_good_entry(server)
        server.stop()
        [file] = (server.data / "archive/entries").glob("*/*/*.json")
        time_and_id = file.name.partition("-")
        for number, poison in enumerate([*POISONS.values(), *BOMBS.values()]):
            # Earlier and later than the good one, under a name like its own.
            year = time_and_id[0][:3] + ("0" if number % 2 else "9")
            name = f"{year}{time_and_id[0][4:]}-{number:0128x}.json"
            (file.parent / name).write_text(poison, errors="surrogatepass")
            self.counts["copied"] += 1
        server.start()
        self.assertEqual(json.loads(get_entries(server, KEY).body), good)
        self.check_old_client(server)

    def put_good_entry(self, server, key=KEY):
        file = self.folder / "file"
        file.write_bytes(b"good")
        client = PythonClient(server, self.folder, signer=self.signer, trusted=[self.signer])
        client.upload("-k", key, "-f", file, "name=good")
        return json.loads(get_entries(server, key).body)

    def check_old_client(self, server, key=KEY):
        client = PythonClient(server, self.folder, trusted=[self.signer])
        listed = client.list("-k", key)
        self.assertEqual([found["name"] for found in listed], ["good"])

    def check_refusals(self, server, bodies):
        slowest_s = 0
        for name, body in bodies.items():
            spent_s = min(self.check_refusal(server, name, body) for _ in range(TRIES))
            self.assertLess(spent_s, LIMIT_S, name)
            slowest_s = max(slowest_s, spent_s)
            self.counts["refused"] += 1
        self.counts["ms at most"] = round(slowest_s * 1000)

    def check_refusal(self, server, name, body):
        started = time.monotonic()
        answer = put_entry(server, KEY, body.encode("utf-8", "surrogatepass"))
        spent_s = time.monotonic() - started
        self.assertIn(answer.status, (400, 413), f"{name} was taken: {answer.body[:200]}")
        self.assertEqual(answer.body.count(b"\n"), 1, f"not one line: {answer.body[:200]}")
        self.assertLess(len(answer.body), 300)
        return spent_s
