"""Only what a listed key signed is taken and served, and the real client needs no change for it.

Each thing that a signed server must refuse is also done to an open one, which lets it through: so
the tests can tell.
"""

import hashlib
import json
import subprocess
from datetime import datetime, timezone

from interop.folder_test import FolderTest
from interop.http_client import get_blob, get_entries, post_blob, put_entry, request
from interop.python_client import LongKeySigner, PythonClient, Signer
from interop.server import Shacached, wait_until

KEY = "file-urlmd5:signed"
UNCLAIMED_SECONDS = "Shacache-Unclaimed-Seconds"
SHORT_KEY = b"the signer's key has 1024 bits; new entries need one of 2048\n"


class Signed(FolderTest):
    def setUp(self):
        super().setUp()
        self.listed = Signer(self.folder, "listed")
        self.stranger = Signer(self.folder, "stranger")
        self.file = self.folder / "file"
        self.file.write_bytes(b"somebody vouches for this")
        self.digest = hashlib.sha512(self.file.read_bytes()).hexdigest()
        self.started = 0

    def server(self, policy, upload="", trust=""):
        """A server with this policy that lists one of the two signers."""
        self.started += 1
        config = self.folder / f"server-{self.started}.toml"
        config.write_text(
            f'[upload]\npolicy = "{policy}"\n{upload}\n'
            f'[trust]\ncertificates = ["{self.listed.certificate_file}"]\n{trust}\n'
        )
        data = self.folder / f"data-{self.started}"
        return self.start(Shacached(data, arguments=["--config", config]))

    def client(self, server, signer):
        return PythonClient(server, self.folder, signer=signer, trusted=[signer])

    def upload(self, server, signer, note=1):
        self.client(server, signer).upload("-f", self.file, "-k", KEY, f"note={note}")

    def entry_of(self, signer, note=1):
        """The body of an entry that the real client makes of the file."""
        server = self.server("open")
        self.upload(server, signer, note)
        return json.dumps(json.loads(get_entries(server, KEY).body)[0])

    def served(self, server):
        """Whether anybody gets the file, by any of its digests."""
        names = [hashlib.new(kind, self.file.read_bytes()).hexdigest()
                 for kind in ("sha512", "sha256", "sha1", "md5")]
        return any(get_blob(server, name).status == 200 for name in names)

    def test_a_listed_signer_uploads_as_ever(self):
        server = self.server("signed")
        self.upload(server, self.listed)
        found = self.client(server, self.listed).download("-k", KEY)
        self.assertEqual(found, self.file.read_bytes())
        self.assertEqual(list((server.data / "unclaimed").iterdir()), [])
        # Once more, with the blob there already.
        self.upload(server, self.listed)
        self.assertTrue(self.served(server))

    def stranger_gets_through(self, policy):
        server = self.server(policy)
        try:
            self.upload(server, self.stranger)
            refused = False
        except AssertionError as error:
            self.assertIn("403", str(error))
            refused = True
        # Other digests are found out in the order in which blobs come to be served: once those of
        # a later one are known, those of the file would be.
        later = self.folder / "later"
        later.write_bytes(b"sent after it")
        self.client(server, self.listed).upload("-f", later, "-k", "later", "note=1")
        md5 = hashlib.md5(later.read_bytes()).hexdigest()
        wait_until(lambda: get_blob(server, md5).status == 200, "its MD5 is known")
        listed = get_entries(server, KEY).status == 200
        self.assertEqual(listed, not refused)
        return self.served(server)

    def entry_naming(self, data):
        return json.dumps([json.dumps({"sha512": hashlib.sha512(data).hexdigest()}), ""])

    def test_what_a_stranger_sends_is_never_served(self):
        self.assertTrue(self.stranger_gets_through("open"), "this test could not fail")
        self.assertFalse(self.stranger_gets_through("signed"))

    def test_refusals_say_why(self):
        strange = self.entry_of(self.stranger)
        server = self.server("signed")
        answer = put_entry(server, KEY, strange)
        self.assertEqual((answer.status, answer.body),
                         (403, b"no listed key made the entry's signature\n"))
        answer = put_entry(server, KEY, self.entry_naming(b""))
        self.assertEqual((answer.status, answer.body), (403, b"the entry is not signed\n"))

    def test_a_blob_waits_for_its_entry_over_a_restart(self):
        entry = self.entry_of(self.listed)
        server = self.server("signed")
        answer = post_blob(server, self.file.read_bytes())
        self.assertEqual((answer.status, answer.body.decode()), (201, self.digest))
        self.assertEqual(answer.headers[UNCLAIMED_SECONDS], "3600")
        server.kill()
        server.start()
        self.assertFalse(self.served(server))
        self.assertEqual(put_entry(server, KEY, entry).status, 201)
        answer = get_blob(server, self.digest)
        self.assertEqual((answer.status, answer.body), (200, self.file.read_bytes()))
        answer = post_blob(server, self.file.read_bytes())
        self.assertEqual((answer.status, answer.headers[UNCLAIMED_SECONDS]), (201, None))

    def test_a_blob_that_nobody_claims_goes(self):
        server = self.server("signed", upload="unclaimed-seconds = 1")
        answer = post_blob(server, self.file.read_bytes())
        self.assertEqual(answer.headers[UNCLAIMED_SECONDS], "1")
        unclaimed = server.data / "unclaimed"
        wait_until(lambda: not list(unclaimed.iterdir()), "the blob goes")
        self.assertFalse(self.served(server))

    def test_the_published_list_is_one_that_clients_take(self):
        server = self.server("signed")
        self.upload(server, self.listed)
        [signer] = json.loads(request(server, "GET", "/signers").body)
        self.assertEqual((signer["name"], signer["kind"], signer["bits"]), ("listed", "RSA", 1024))
        self.assertEqual(signer["fingerprint"], fingerprint(self.listed.certificate_file))
        self.assertRegex(signer["not-after"], r"^21\d\d-.*Z$")
        pem = request(server, "GET", "/signers.pem").body.decode()
        self.assertIn(self.listed.certificate, pem)

        option = request(server, "GET", "/signers.cfg").body.decode()
        reader = PythonClient(server, self.folder)
        reader.config_file.write_text(reader.config_file.read_text() + option)
        self.assertEqual(reader.download("-k", KEY), self.file.read_bytes())
        # The list counts: with another one the same client finds nothing.
        other = PythonClient(server, self.folder, trusted=[self.stranger])
        with self.assertRaisesRegex(AssertionError, "No result found"):
            other.download("-k", KEY)

    def test_lists_are_narrowed_to_what_the_server_verified(self):
        server = self.server("open")
        for signer in (self.listed, self.stranger):
            self.upload(server, signer)
        both = json.loads(get_entries(server, KEY).body)
        self.assertEqual(len(both), 2)
        signer = fingerprint(self.listed.certificate_file)
        for query in ("verified=1", f"signer={signer}"):
            self.assertEqual(json.loads(get_entries(server, f"{KEY}?{query}").body), both[:1])
        unlisted = fingerprint(self.stranger.certificate_file)
        self.assertEqual(get_entries(server, f"{KEY}?signer={unlisted}").status, 404)

    def test_a_revoked_key_keeps_what_it_signed_before(self):
        early = self.entry_of(self.listed)
        late = self.entry_of(self.listed, note=2)
        server = self.server("open")
        self.assertEqual(put_entry(server, KEY, early).status, 201)
        since = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        signer = fingerprint(self.listed.certificate_file)
        self.revoke(server, signer, since, "open")
        self.assertEqual(put_entry(server, KEY, late).status, 201)
        self.assertEqual(json.loads(get_entries(server, KEY).body), [json.loads(early)])
        self.revoke(server, signer, since, "signed")
        answer = put_entry(server, KEY, late)
        self.assertEqual((answer.status, answer.body.decode()),
                         (403, f"the signer {signer} is revoked\n"))
        self.assertEqual(json.loads(get_entries(server, KEY).body), [json.loads(early)])
        [told] = json.loads(request(server, "GET", "/signers").body)
        self.assertEqual(told["revoked-since"][:19], since[:19])
        self.assertNotIn("BEGIN", request(server, "GET", "/signers.pem").body.decode())
        # Without the revocation the later one would have been there.
        self.revoke(server, signer, "2100-01-01T00:00:00Z", "open")
        listed = json.loads(get_entries(server, KEY).body)
        self.assertEqual(listed, [json.loads(early), json.loads(late)])

    def test_new_entries_of_short_keys_are_refused_where_asked(self):
        """Of keys that the real client signs with: 1024 bits, as its own command makes them, and
        2048."""
        long = LongKeySigner(self.folder, "long")
        both = f'certificates = ["{self.listed.certificate_file}", "{long.certificate_file}"]'
        config = self.folder / "server.toml"
        server = Shacached(self.folder / "data", arguments=["--config", config])
        rules = f'[upload]\npolicy = "signed"\n[trust]\n{both}\n'
        config.write_text(rules)
        self.start(server)
        self.upload(server, self.listed)
        taken = json.loads(get_entries(server, KEY).body)
        late = self.entry_of(self.listed, note=2)

        config.write_text(rules + "refuse-short-keys = true\n")
        server.restart()
        with self.assertRaisesRegex(AssertionError, r"\b403\b"):
            self.upload(server, self.listed, note=2)
        answer = put_entry(server, KEY, late)
        self.assertEqual((answer.status, answer.body), (403, SHORT_KEY))
        # What was taken before stays, is verified, and is found by clients.
        for query in ("", "?verified=1"):
            self.assertEqual(json.loads(get_entries(server, KEY + query).body), taken)
        self.assertEqual(self.client(server, self.listed).list("-k", KEY)[0]["note"], "1")
        self.upload(server, long, note=3)
        [kept, signed] = json.loads(get_entries(server, f"{KEY}?verified=1").body)
        self.assertEqual((kept, json.loads(signed[0])["note"]), (taken[0], "3"))
        self.assertEqual(self.client(server, long).download("-k", KEY), self.file.read_bytes())

    def revoke(self, server, signer, since, policy):
        server.stop()
        config = self.folder / f"server-{self.started}.toml"
        config.write_text(
            f'[upload]\npolicy = "{policy}"\n'
            f'[trust]\ncertificates = ["{self.listed.certificate_file}"]\n'
            f'revoked = ["{signer} since {since}"]\n'
        )
        server.start()


def fingerprint(certificate_file):
    """As OpenSSL tells it: the SHA-256 of the public key."""
    key = subprocess.run(["openssl", "x509", "-in", certificate_file, "-noout", "-pubkey"],
                         check=True, stdout=subprocess.PIPE).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"],
                         check=True, stdout=subprocess.PIPE, input=key).stdout
    return hashlib.sha256(der).hexdigest()
