"""An archive is readable without our program, and all that is derived from it can be made anew."""

import hashlib
import json
import shutil
import subprocess

from interop.folder_test import FolderTest
from interop.http_client import get_blob, get_entries, post_blob, put_entry, request
from interop.python_client import PythonClient, Signer
from interop.server import CHECKOUT, Shacached, run_shacached, wait_until

LONG_KEY = "long:" + "é/" * 150
# Typed in the request, decoded in the archive; only what the request line needs is escaped.
KEYS = {
    "pypi:name=1.0": "pypi:name=1.0",
    "UPPER/.dots/%": "UPPER/.dots/%",
    ".leading": ".leading",
    "with%20space`>=<'": "with space`>=<'",
    "accent-%C3%A9": "accent-é",
    LONG_KEY.replace("é", "%C3%A9"): LONG_KEY,
}


class ReadBack(FolderTest):
    def setUp(self):
        super().setUp()
        self.data = self.folder / "data"
        self.server = self.start(Shacached(self.data))

    def fill(self):
        """Puts one blob and one unsigned entry under each key; gives key → metadata text, blobs."""
        texts, blobs = {}, {}
        for number, (typed, key) in enumerate(KEYS.items()):
            blob = f"blob {number}".encode() * number
            digest = post_blob(self.server, blob).body.decode()
            # Unusual spacing, escapes and NaN have to come back as they were.
            text = f'{{"sha512" :"{digest}","n":NaN, "u":"\\u00e9\\ud800",  "key": {number}}}'
            answer = put_entry(self.server, typed, json.dumps([text, ""]))
            self.assertEqual(answer.status, 201, answer.body)
            texts[key], blobs[digest] = text, blob
        return texts, blobs

    def read_archive(self, *certificates):
        done = subprocess.run(
            [CHECKOUT / "interop/read-archive.sh", self.data / "archive", *certificates],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )
        return done.returncode, done.stderr, [json.loads(line) for line in done.stdout.splitlines()]

    def test_with_standard_tools_alone(self):
        texts, blobs = self.fill()
        self.server.stop()

        code, complaints, entries = self.read_archive()
        self.assertEqual((code, complaints), (0, ""))
        self.assertEqual({entry["key"]: entry["metadata"] for entry in entries}, texts)
        self.assertEqual(len(entries), len(texts))
        found = {path.name: path.read_bytes() for path in self.blob_files()}
        self.assertEqual(found, blobs)
        bodies = [path.read_text() for path in (self.data / "archive/entries").glob("*/*/*.json")]
        self.assertCountEqual(bodies, [json.dumps([text, ""]) for text in texts.values()])

    def test_signatures_with_openssl(self):
        signers = [Signer(self.folder, name) for name in ("first", "second")]
        file = self.folder / "file"
        file.write_bytes(b"signed")
        for signer in signers:
            client = PythonClient(self.server, self.folder, signer=signer, trusted=[signer])
            client.upload("-k", "signed", "-f", file, f"by={signer.key_file.stem}")
        PythonClient(self.server, self.folder).upload("-k", "signed", "-f", file, "by=nobody")
        self.server.stop()

        code, complaints, entries = self.read_archive(*[s.certificate_file for s in signers])
        self.assertEqual((code, complaints), (0, ""))
        self.assertEqual(
            [(json.loads(e["metadata"])["by"], e["signed_by"]) for e in entries],
            [("first", "first.crt"), ("second", "second.crt"), ("nobody", None)],
        )
        received = [entry["received"] for entry in entries]
        self.assertEqual(received, sorted(set(received)))

    def test_deleted_entries_are_hidden_and_still_there(self):
        self.fill()
        self.server.stop()
        deleted = next((self.data / "archive/entries").glob("*/*/*.json"))
        key_folder = deleted.parent.relative_to(self.data / "archive/entries")
        tombstone = self.data / "archive/tombstones/entries" / key_folder
        tombstone.mkdir(parents=True)
        later = f"20991231T235959.999999Z-{deleted.name.partition('-')[2]}"
        (tombstone / later).write_text('{"who": "an operator", "why": "a test"}\n')

        code, _, entries = self.read_archive()
        self.assertEqual(code, 0)
        [hidden] = [entry["key"] for entry in entries if entry["hidden"]]
        [typed] = [typed for typed, key in KEYS.items() if key == hidden]
        self.server.start()
        for other in KEYS:
            self.assertEqual(get_entries(self.server, other).status, 404 if other == typed else 200)

    def test_damage_is_told(self):
        self.fill()
        self.server.stop()
        damaged = next(path for path in self.blob_files() if path.stat().st_size)
        damaged.write_bytes(b"X" + damaged.read_bytes()[1:])
        entry = next((self.data / "archive/entries").glob("*/*/*.json"))
        entry.rename(entry.with_name(entry.name.replace("-", "-0", 1)))

        (entry.parent / "20200101T000000.000000Z-junk.json").write_text('["{}"]')

        code, complaints, entries = self.read_archive()
        self.assertEqual(code, 1)
        self.assertIn(damaged.name, complaints)
        self.assertIn(f"{entry.name.replace('-', '-0', 1)}: id", complaints)
        self.assertIn("junk.json: not an entry", complaints)
        self.assertEqual(len(entries), len(KEYS), "the rest is still read")

    def test_reindex_brings_everything_back(self):
        texts, blobs = self.fill()
        before = self.answers(texts, blobs)
        self.server.stop()
        shutil.rmtree(self.data / "index")
        run_shacached("reindex", "--data", self.data)
        self.assertTrue((self.data / "index").is_dir())

        self.server.start()
        self.assertEqual(self.answers(texts, blobs), before)
        self.check_other_digests(blobs)

    def test_index_is_made_anew_without_being_asked(self):
        texts, blobs = self.fill()
        before = self.answers(texts, blobs)
        self.server.stop()
        shutil.rmtree(self.data / "index")

        self.server.start()
        self.assertEqual(self.answers(texts, blobs), before)
        self.check_other_digests(blobs)

    def answers(self, texts, blobs):
        got = [get_entries(self.server, typed).body for typed in KEYS]
        self.assertEqual([json.loads(body)[0][0] for body in got], list(texts.values()))
        for digest, data in blobs.items():
            self.assertEqual(get_blob(self.server, digest).body, data)
        return got

    def check_other_digests(self, blobs):
        for digest, data in blobs.items():
            for kind in ("md5", "sha1", "sha256"):
                other = hashlib.new(kind, data).hexdigest()
                # These are computed after the answer to the upload or during reindex.
                wait_until(lambda o=other: get_blob(self.server, o).status == 200, f"{kind} known")
                answer = request(self.server, "GET", f"/shacache/{other}")
                self.assertEqual(answer.body, data)
                self.assertEqual(answer.headers["ETag"], f'"{digest}"')

    def blob_files(self):
        return [path for path in (self.data / "archive/blobs").glob("*/*/*") if path.is_file()]
