"""Uploads that lie, end early or never end leave nothing behind, and many of one file are one."""

import hashlib
import os
import random
from concurrent.futures import ThreadPoolExecutor

from faults.fault_test import by_tier
from hostile.hostile_test import HostileTest
from hostile.raw_client import RawClient, exchange
from interop.http_client import get_blob, post_blob, request
from interop.server import wait_until

UPLOADERS_AT_ONCE = 8
SAME_FILE_CLIENTS = 64
LARGEST_BYTES = 600_000


class BadUploads(HostileTest):
    def test_clients_that_leave(self):
        server = self.configured()
        self.check_leaving(server, by_tier(1_000, 10_000))

    def test_clients_that_leave_naively_served(self):
        with self.is_noticed("was kept"):
            self.check_leaving(self.naive(), 50)

    def check_leaving(self, server, number):
        """Each client goes away after some byte of its upload, politely or not."""
        kept = post_blob(server, b"kept").body.decode()
        with ThreadPoolExecutor(UPLOADERS_AT_ONCE) as uploaders:
            digests = list(uploaders.map(lambda seed: leave(server, seed), range(number)))
        self.counts["left"] += number
        wait_until(
            lambda: not any((server.data / "tmp").iterdir()) and files_open_in_tmp(server) == 0,
            "all uploads to be noticed",
        )
        for digest in digests:
            self.assertEqual(get_blob(server, digest).status, 404, f"{digest} was kept")
        self.assertEqual(blob_names(server), {kept}, "something was kept")

    def test_bodies_that_are_not_what_they_claim(self):
        server = self.configured()
        self.check_claims(server)

    def test_bodies_that_are_not_what_they_claim_naively_served(self):
        with self.is_noticed("PUT under a wrong digest"):
            self.check_claims(self.naive())

    def check_claims(self, server):
        right, wrong = b"x" * 100_000, hashlib.sha512(b"other").hexdigest()
        put = request(server, "PUT", f"/shacache/{wrong}", right)
        self.assertEqual(put.status, 400, "PUT under a wrong digest")
        self.assertEqual(get_blob(server, wrong).status, 404, "PUT under a wrong digest")

        # Shorter than announced.
        for body in (b"", b"x", right):
            head = f"POST /shacache/ HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body) + 1}\r\n\r\n"
            answers = exchange(server.address, head.encode() + body, finish=True)
            self.assertTrue(all(answer.status == 400 for answer in answers), answers)
            self.assertEqual(get_blob(server, hashlib.sha512(body).hexdigest()).status, 404)

        # Longer than announced: what was announced is the body, the rest is no request.
        head = b"POST /shacache/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
        answers = exchange(server.address, head + b"hello and more\r\n\r\n")
        self.assertEqual([answer.status for answer in answers], [201, 400])
        self.assertEqual(answers[0].body.decode(), hashlib.sha512(b"hello").hexdigest())

        # Chunks that end early, or are no chunks.
        head = b"POST /shacache/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        for chunks in (b"", b"5", b"5\r\nhel", b"5\r\nhello\r\n", b"5\r\nhello\r\n0", b"hello",
                       b"-1\r\nx", b"5\r\nhelloworld\r\n0\r\n\r\n", b"ffffffffffffffff\r\nx"):
            answers = exchange(server.address, head + chunks, finish=True)
            self.assertTrue(all(answer.status == 400 for answer in answers), (chunks, answers))
            self.counts["broken chunks"] += 1
        wait_until(lambda: not any((server.data / "tmp").iterdir()), "no trace of them")
        self.assertEqual(blob_names(server), {hashlib.sha512(b"hello").hexdigest()})

    def test_one_file_from_many_clients(self):
        self.check_one_file(self.configured())

    def test_one_file_from_many_clients_naively_kept(self):
        with self.is_noticed("copies of it"):
            self.check_one_file(self.naive())

    def check_one_file(self, server):
        data = os.urandom(300_000)
        with ThreadPoolExecutor(SAME_FILE_CLIENTS) as uploaders:
            answers = list(uploaders.map(
                lambda _: post_blob(server, data), range(SAME_FILE_CLIENTS)
            ))
        digest = hashlib.sha512(data).hexdigest()
        for answer in answers:
            self.assertEqual((answer.status, answer.body.decode()), (201, digest))
        files = [file for file in server.data.rglob("*") if file.is_file()]
        copies = sum(file.read_bytes() == data for file in files)
        self.assertEqual(copies, 1, f"{copies} copies of it")
        self.assertEqual(blob_names(server), {digest})
        self.assertEqual(get_blob(server, digest).body, data)
        self.counts["answered 201"] += len(answers)


def leave(server, seed):
    """Uploads a body that `seed` decides and goes away before its last byte; gives the digest that
    the whole would have had."""
    choice = random.Random(seed)
    body = choice.randbytes(choice.randrange(1, choice.choice([10, 70_000, LARGEST_BYTES])))
    digest = hashlib.sha512(body).hexdigest()
    target = choice.choice(["POST /shacache/", f"PUT /shacache/{digest}"])
    if choice.random() < 0.7:
        message = b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    else:
        message = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    message = f"{target} HTTP/1.1\r\nHost: a\r\n".encode() + message
    with RawClient(server.address) as client:
        client.send_until_refused([message[: choice.randrange(len(message))]])
        if choice.random() < 0.5:
            client.reset()
    return digest


def blob_names(server):
    """Every file that is kept as a blob, wherever that may be."""
    folders = [server.data / "archive/blobs", server.data / "shacache"]
    return {file.name for folder in folders for file in folder.rglob("*") if file.is_file()}


def files_open_in_tmp(server):
    """Files without a name count, too."""
    folder = f"/proc/{server.process.pid}/fd"
    links = []
    for descriptor in os.listdir(folder):
        try:
            links.append(os.readlink(f"{folder}/{descriptor}"))
        except FileNotFoundError:
            continue
    return sum(link.startswith(f"{server.data}/tmp/") for link in links)
