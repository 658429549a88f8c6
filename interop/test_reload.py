"""SIGHUP while clients are busy: who is known, whose signatures count and which keys are revoked
change for requests on connections that are open, and a download under way goes on to its end."""

import hashlib
import http.client
import json
import os
import signal
import ssl

from interop.folder_test import FolderTest
from interop.nginx import Authority
from interop.payload import Payload
from interop.python_client import PythonClient, Signer
from interop.server import run_shacached, wait_until
from interop.test_signed import fingerprint
from interop.test_tls import TlsShacached

KEY = "file-urlmd5:reload"
# More than all buffers on the way hold, so that the server has to go on with it.
LARGE_BYTES = 64 << 20


class Reload(FolderTest):
    def setUp(self):
        super().setUp()
        self.authority = Authority(self.folder, "authority")
        self.known = Authority(self.folder, "known")
        self.other = Authority(self.folder, "other")
        self.old, self.new = Signer(self.folder, "old"), Signer(self.folder, "new")
        self.config = self.folder / "server.toml"
        self.configure(self.known, [self.old, self.new])
        self.server = self.start(TlsShacached(
            self.folder, self.authority, arguments=["--config", self.config],
        ))

    def configure(self, known, listed, revoked="", *, upload="credentials+signed", trust=""):
        files = ", ".join(f'"{signer.certificate_file}"' for signer in listed)
        self.config.write_text(
            f'[upload]\npolicy = "{upload}"\n'
            '[[identity]]\nname = "uploader"\nroles = ["upload", "put"]\n'
            f'certificates = ["{fingerprint(known.certificate_file)}"]\n'
            f"[trust]\ncertificates = [{files}]\nrevoked = [{revoked}]\n{trust}\n"
        )

    def reload(self):
        lines = self.hang_up()
        wait_until(lambda: lines().count("read again") == PARTS, "everything is read again")

    def reload_in_vain(self):
        """With something that cannot be read."""
        lines = self.hang_up()
        wait_until(lambda: "stays as it was" in lines(), "it is refused")

    def hang_up(self):
        """Gives what is logged from then on."""
        before = len(self.server.log)
        self.server.process.send_signal(signal.SIGHUP)
        return lambda: "".join(self.server.log[before:])

    def connect(self, identity):
        context = ssl.create_default_context(cafile=self.authority.certificate_file)
        context.load_cert_chain(identity.certificate_file, identity.key_file)
        connection = http.client.HTTPSConnection(*self.server.address, context=context)
        self.addCleanup(connection.close)
        connection.connect()
        return connection

    def upload(self, signer, note):
        """With the real client, by whoever is known now."""
        client = PythonClient(self.server, self.folder, signer=signer, trusted=[signer])
        client.speak_tls(self.authority, self.known)
        file = self.folder / "file"
        file.write_bytes(b"of " + note.encode())
        client.upload("-k", KEY, "-f", file, f"note={note}")

    def test_who_may_write_changes_under_open_connections(self):
        large = Payload(LARGE_BYTES, seed="reload")
        body = large.write_to(self.folder / "large").read_bytes()
        mine, others = self.connect(self.known), self.connect(self.other)
        self.assertEqual(post(mine, body), 201)
        others.request("GET", "/healthz")
        self.assertEqual(others.getresponse().read(), b"ok\n")
        sockets = mine.sock, others.sock
        download = self.connect(self.other)
        download.request("GET", f"/shacache/{hashlib.sha512(body).hexdigest()}")
        answer = download.getresponse()
        received = hashlib.sha512(answer.read(1 << 20))

        # What is not read again is not in force.
        self.configure(self.other, [self.old, self.new])
        self.assertEqual(post(mine, b"still"), 201)
        self.assertEqual(post(self.connect(self.other), b"not yet"), 403)
        self.reload()
        self.assertEqual((mine.sock, others.sock), sockets)
        self.assertEqual((post(mine, b"no more"), post(others, b"now")), (403, 201))
        self.assertIs(others.sock, sockets[1])
        while part := answer.read(1 << 20):
            received.update(part)
        self.assertEqual(received.hexdigest(), hashlib.sha512(body).hexdigest())

    def test_whose_signatures_count_changes_under_open_connections(self):
        reader = self.connect(self.other)
        self.upload(self.old, "early")
        self.upload(self.new, "too")
        self.assertEqual(notes(reader), ["early", "too"])

        # Out of the list: what it signed stays and is taken no longer.
        self.configure(self.known, [self.new])
        self.upload(self.old, "not read again yet")
        self.reload()
        with self.assertRaisesRegex(AssertionError, r"\b403\b"):
            self.upload(self.old, "no more")
        self.upload(self.new, "now")
        self.assertEqual(notes(reader), ["early", "too", "not read again yet", "now"])
        self.assertEqual(notes(reader, "?verified=1"), ["too", "now"])

        # Revoked: what it signed is hidden at once, in lists that were made already too.
        revoked = f'"{fingerprint(self.old.certificate_file)} since 2020-01-01T00:00:00Z"'
        self.configure(self.known, [self.old, self.new], revoked)
        self.assertEqual(len(notes(reader)), 4)
        self.reload()
        self.assertEqual(notes(reader), ["too", "now"])
        with self.assertRaisesRegex(AssertionError, r"\b403\b"):
            self.upload(self.old, "revoked")

        # A mistake changes nothing.
        self.configure(self.known, [self.new], revoked)
        self.reload_in_vain()
        self.assertEqual(notes(reader), ["too", "now"])

    def test_short_keys_are_refused_from_then_on_and_policies_stay(self):
        reader = self.connect(self.other)
        self.upload(self.old, "taken")
        both = [self.old, self.new]
        self.configure(self.known, both, trust="refuse-short-keys = true")
        self.upload(self.old, "not read again yet")
        self.reload()
        with self.assertRaisesRegex(AssertionError, r"\b403\b"):
            self.upload(self.old, "too short")
        self.assertEqual(notes(reader, "?verified=1"), ["taken", "not read again yet"])

        # What a policy says is in force at the next start, and the log says so.
        self.configure(self.known, both, upload="open")
        self.reload()
        self.assertIn("takes effect at the next start", "".join(self.server.log))
        self.assertEqual(post(self.connect(self.other), b"of a stranger"), 403)
        self.server.restart()
        self.assertEqual(post(self.connect(self.other), b"of a stranger"), 201)

    def test_tokens_that_somebody_put_in_place_by_hand(self):
        kept = self.server.data / "state/tokens.json"
        before = self.token(self.server.data)
        after = self.token(self.folder / "elsewhere")
        # Stays open throughout; whoever is refused loses the connection, so others try that.
        held = self.connect(self.other)
        self.assertEqual(post(held, b"a", before), 201)
        socket = held.sock

        os.replace(self.folder / "elsewhere/state/tokens.json", kept)
        self.assertEqual(post(held, b"b", before), 201)
        self.assertEqual(post(self.connect(self.other), b"b", after), 401)
        self.reload()
        self.assertEqual(post(held, b"c", after), 201)
        self.assertEqual(post(self.connect(self.other), b"c", before), 401)

        # All or nothing: with a damaged file identities stay as they were, too.
        self.configure(self.other, [self.old, self.new])
        good = kept.read_bytes()
        kept.write_bytes(good[:-3])
        self.reload_in_vain()
        self.assertEqual(post(held, b"d", after), 201)
        self.assertEqual(post(self.connect(self.other), b"d"), 403)
        kept.write_bytes(good)
        self.reload()
        self.assertEqual(post(held, b"e"), 201)
        self.assertIs(held.sock, socket)

    def token(self, data):
        made = run_shacached("token", "new", "builder", "--role", "upload", "--data", data)
        return made.split()[-1]


# Certificates, access and signers.
PARTS = 3


def post(connection, body, token=None):
    headers = {"Content-Type": "application/octet-stream"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    connection.request("POST", "/shacache/", body, headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status


def notes(connection, query=""):
    connection.request("GET", f"/shadir/{KEY}{query}")
    answer = connection.getresponse()
    return [json.loads(text)["note"] for text, _ in json.loads(answer.read())]
