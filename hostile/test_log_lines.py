"""Whatever a client sends, one event is one line of the log, and no line controls a terminal."""

import json
import random
import re
import unicodedata
from concurrent.futures import ThreadPoolExecutor

from faults.fault_test import by_tier
from hostile.hostile_test import HostileTest
from hostile.raw_client import exchange
from interop.server import wait_until

SENDERS_AT_ONCE = 8
FORGED = '{"level":"ERROR","message":"forged","target":"shacached"}'
PIECES = [
    b"%0d%0a", b"%0a", b"\r", b"%1b[31m", b"\x1b[2J", b"%1b]0;title%07", b"\x7f", b"%00", b"\x08",
    "\u202e".encode(), b"%e2%80%ae", "\u2066".encode(), "\x9b31m".encode(), b"%9b31m", b"\xff\xfe",
    "\u2028".encode(), b"%e2%80%a8", "\x85".encode(),
    b'"', b"\\", b"\\n", b'","level":"ERROR', b"\t",
    b"a", b"%22", b"{", b"%20", "é".encode(), FORGED.encode().replace(b" ", b"%20"),
]
FIELDS = [b"User-Agent", b"Request-Id", b"Referer", b"X-Forwarded-For", b"Forwarded", b"Host",
          b"Authorization", b"X-Real-Ip", b"Range", b"Content-Type"]
SECRET = b"Basic c2VjcmV0OnNlY3JldA=="


class LogLines(HostileTest):
    def test_one_event_is_one_line_of_json(self):
        server = self.configured('log.format = "json"')
        sent = self.attack(server, by_tier(300, 5_000))
        self.check_lines(server, sent)

    def test_one_event_is_one_line_of_text(self):
        server = self.configured('log.format = "text"')
        self.attack(server, by_tier(300, 5_000))
        self.check_characters(server)

    def test_lines_naively_written(self):
        server = self.naive()
        sent = self.attack(server, 100)
        with self.is_noticed("in the log"):
            self.check_characters(server)
        with self.is_noticed("lines for"):
            self.check_number(server, sent, server.log)

    def attack(self, server, number):
        """Odd requests, some of them no requests at all; gives how many were sent."""
        choice = random.Random(7)
        messages = [message(choice) for _ in range(number)]
        with ThreadPoolExecutor(SENDERS_AT_ONCE) as senders:
            answers = list(senders.map(
                lambda data: exchange(server.address, data, timeout_s=30), messages
            ))
        last = b"GET /shadir/the-last-one HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        exchange(server.address, last)
        wait_until(lambda: any("the-last-one" in line for line in server.log), "the last is logged")
        self.counts["requests"] += number
        self.counts["answered"] += sum(bool(answer) for answer in answers)
        return number + 1

    def check_lines(self, server, sent):
        self.check_characters(server)
        events = [json.loads(line) for line in server.log if line.startswith("{")]
        requests = [event for event in events if event["message"] in ("answered", "refused")]
        self.check_number(server, sent, requests)
        for event in events:
            self.assertNotEqual(event["message"], "forged")
            self.assertEqual(event["level"], "INFO", event)
        for event in requests:
            self.assertEqual(event["client"], "127.0.0.1", "whom a header names was believed")
        outside = [line for line in server.log if not line.startswith("{")]
        self.assertTrue(
            all(re.match("listening on |data in |try: |     shacache ", line) for line in outside),
            outside,
        )

    def check_number(self, server, sent, lines):
        self.assertEqual(len(lines), sent, f"{len(lines)} lines for {sent} requests")

    def check_characters(self, server):
        for line in server.log:
            for character in line.removesuffix("\n"):
                kind = unicodedata.category(character)
                self.assertNotIn(kind, ("Cc", "Cf", "Zl", "Zp", "Cs"), f"{line!r} is in the log")
            self.assertNotIn(SECRET.decode().split()[1], line, "a credential is in the log")
        self.counts["lines"] += len(server.log)


def message(choice):
    """A request whose texts are as odd as can be, for one answer and one line."""
    def odd():
        return b"".join(choice.choice(PIECES) for _ in range(choice.randrange(1, 6)))

    path = odd().replace(b"\r", b"%0d").replace(b" ", b"%20").replace(b"\t", b"%09")
    fields = b"".join(b"%b: %b\r\n" % (choice.choice(FIELDS[:-1]), odd()) for _ in range(3))
    head = b"GET /%b/%b HTTP/1.1\r\n" % (choice.choice([b"shadir", b"shacache", b"x"]), path)
    return head + b"Host: a\r\nAuthorization: %b\r\n%bConnection: close\r\n\r\n" % (SECRET, fields)
