"""Whatever text an entry has comes out as it was put, and its signature still verifies."""

import base64
import json
import random
from concurrent.futures import ThreadPoolExecutor

from slapos import crypto

from faults.fault_test import by_tier
from hostile.hostile_test import HostileTest
from interop.http_client import get_entries, put_entry
from interop.python_client import Signer
from interop.server import run_shacached

WRITERS_AT_ONCE = 8
DIGEST = "0" * 128
# What some writer of JSON spells otherwise than another.
SPELLINGS = [
    "a", "Z", "0", " ", "/", "\\/", "\\u002f", "\\\\", '\\"', "\\n", "\\r", "\\t", "\\b", "\\f",
    "\\u000a", "\\u0000", "\\u007f", "\x7f", "é", "\\u00e9", "\\u00E9", "e\u0301", "ﬀ", "\u2028",
    "\\u2028", "\u202e", "\ufeff", "\uffff", "😀", "\\ud83d\\ude00", "\\uD83D\\uDE00", "\\ud800",
    "\\udc00", "<", ">", "&", "'", "`", "${a}", "%s", "%00", "\u0085", "\xa0",
]
SPACES = ["", "", "", " ", "  ", "\n", "\t", "\r\n", " \n\t "]
NUMBERS = [
    "0", "-0", "1", "1.0", "1.00", "1e0", "1E0", "1e+0", "0.1", "1e999", "-1e999", "NaN",
    "Infinity", "-Infinity", "9007199254740993", "123456789012345678901234567890", "1e-400",
    "3.141592653589793238462643383279",
]


class ExactBytes(HostileTest):
    def setUp(self):
        super().setUp()
        signer = Signer(self.folder, "signer")
        self.key = crypto.load_privatekey(crypto.FILETYPE_PEM, signer.key_file.read_text())
        self.certificate = crypto.load_certificate(crypto.FILETYPE_PEM, signer.certificate)

    def test_every_text_comes_back(self):
        server = self.configured()
        put = self.put(server, by_tier(200, 3_000))
        self.check(server, put)
        # From the archive alone.
        server.stop()
        run_shacached("reindex", "--data", str(server.data))
        server.start()
        self.check(server, put)

    def test_every_text_comes_back_naively_served(self):
        server = self.naive()
        put = self.put(server, 50)
        with self.is_noticed("other text"):
            self.check(server, put)

    def put(self, server, number):
        """Entries of every spelling, some keys with several; gives key → (text, signature) in the
        order in which they were put."""
        seed = random.randrange(1 << 32)
        self.counts["seed"] = seed
        choice = random.Random(seed)
        keys = {}
        for count in range(number):
            text = metadata(choice, count)
            signature = base64.b64encode(crypto.sign(self.key, text.encode(), "sha1")).decode()
            if choice.random() < 0.3:
                signature = "\n".join(signature[i : i + 76] for i in range(0, len(signature), 76))
            keys.setdefault(f"key-{count // 3}", []).append((text, signature))

        def put_all(key):
            for pair in keys[key]:
                answer = put_entry(server, key, body(choice, *pair))
                self.assertEqual(answer.status, 201, (pair, answer.body))

        with ThreadPoolExecutor(WRITERS_AT_ONCE) as writers:
            list(writers.map(put_all, keys))
        self.counts["texts"] += number
        return keys

    def check(self, server, keys):
        for key, pairs in keys.items():
            listed = json.loads(get_entries(server, key).body)
            self.assertEqual(len(listed), len(pairs), f"{key} has not what was put")
            for (text, signature), (found_text, found_signature) in zip(pairs, listed):
                self.assertEqual(found_text, text, "other text")
                self.assertEqual(found_signature, signature, "other signature")
                crypto.verify(
                    self.certificate, base64.b64decode(found_signature), found_text.encode(), "sha1"
                )
                self.counts["verified"] += 1


def metadata(choice, number):
    """The text of an object with `sha512` somewhere, spelled in no particular way."""
    members = [('"number"', str(number))]
    members += [(f'"{string(choice)}-{n}"', value(choice, 0)) for n in range(choice.randrange(6))]
    members.insert(choice.randrange(len(members) + 1), ('"sha512"', f'"{DIGEST}"'))
    tokens = ["{"]
    for name, text in members:
        tokens += [name, ":", text, ","]
    tokens[-1] = "}"
    return "".join(choice.choice(SPACES) + token for token in tokens) + choice.choice(SPACES)


def value(choice, depth):
    kind = choice.randrange(6 if depth < 4 else 3)
    if kind == 0:
        return choice.choice(NUMBERS)
    if kind in (1, 2):
        return f'"{string(choice)}"' if kind == 1 else choice.choice(["true", "false", "null"])
    items = [value(choice, depth + 1) for _ in range(choice.randrange(4))]
    if kind == 3:
        return "{" + ", ".join(f'"{n}": {item}' for n, item in enumerate(items)) + "}"
    return "[" + choice.choice(SPACES) + ",".join(items) + "]"


def string(choice):
    return "".join(choice.choice(SPELLINGS) for _ in range(choice.randrange(8)))


def body(choice, text, signature):
    """The entry as one of several writers of JSON would send it."""
    pair = json.dumps([text, signature], ensure_ascii=len(text) % 2 == 0)
    return pair.encode() if len(text) % 3 else b" " + pair.replace('", "', '"\n,\t"', 1).encode()
