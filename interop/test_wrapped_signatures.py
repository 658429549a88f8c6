"""Signatures that older releases wrap at 76 columns are kept byte for byte and still trusted."""

import json

from interop.folder_test import FolderTest
from interop.http_client import get_entries
from interop.python_client import OLD_ENVIRONMENT, PythonClient, Signer, run_in
from interop.server import Shacached

KEY = "file-urlmd5:wrapped"


class WrappedSignatures(FolderTest):
    def test_uploaded_by_0_20_and_verified_by_0_30(self):
        signer = Signer(self.folder, "old")
        stranger = Signer(self.folder, "stranger")
        file = self.folder / "file"
        file.write_bytes(b"signed long ago")
        server = self.start(Shacached(self.folder / "data"))

        run_in(
            OLD_ENVIRONMENT, "old_upload.py", server.cache_url, server.directory_url,
            signer.key_file, signer.certificate_file, KEY, file,
        )

        [[metadata, signature]] = json.loads(get_entries(server, KEY).body)
        self.assertEqual([len(line) for line in signature.split("\n")], [76, 76, 20, 0])
        [stored] = (self.folder / "data/archive/entries").glob("*/*/*.json")
        # The client sends what Python's json.dumps makes; that very text is kept.
        self.assertEqual(stored.read_text(), json.dumps([metadata, signature]))

        self.assertEqual(
            PythonClient(server, self.folder, trusted=[stranger, signer]).download("-k", KEY),
            file.read_bytes(),
        )
        with self.assertRaisesRegex(AssertionError, "No result found"):
            PythonClient(server, self.folder, trusted=[stranger]).download("-k", KEY)
