"""The Python client's own suite passes against our server, in the releases 0.30 and 0.20."""

import json

from interop.folder_test import FolderTest
from interop.python_client import ENVIRONMENT, OLD_ENVIRONMENT, run_in
from interop.server import Shacached

# These edit files in the folder of the suite's own reference server, so they say nothing about any
# other server.
NEEDING_FILES = {
    "test_select_json_in_json_no_dict": "writes a non-object as metadata into the server's file",
    "test_select_json_no_in_json_response": "writes an unreadable entry into the server's file",
    "test_select_no_entries": "empties the server's file",
    "test_select_no_json_response": "writes something else than JSON into the server's file",
    "test_select_signed_content_server_hacked": "changes an entry in the server's file",
}

TESTS = [
    "test_DirectoryNotFound_non_trustable_entry",
    "test_NetworkcacheClient_handle_bad_certificates",
    "test_download",
    "test_download_not_exists",
    "test_select_signed_content",
    "test_select_signed_content_multiple",
    "test_select_signed_content_several_certificates",
    "test_upload",
    "test_upload_shadir",
    "test_upload_shadir_select",
    "test_upload_shadir_select_not_exists",
    "test_upload_twice_same",
]
OLD_TESTS = sorted([*TESTS, "test_upload_shadir_no_filename"])


class PythonSuite(FolderTest):
    def check(self, environment, expected):
        server = self.start(Shacached(self.folder / "data"))
        report = json.loads(
            run_in(environment, "run_suite.py", server.cache_url, server.directory_url)
        )
        for name, outcome in report["outcomes"].items():
            with self.subTest(name):
                self.assertEqual(outcome, "passed")
        self.assertEqual(sorted(report["outcomes"]), expected, "another test is left out or new")
        self.assertEqual(sorted(report["needing_files"]), sorted(NEEDING_FILES))

    def test_release_0_30(self):
        self.check(ENVIRONMENT, TESTS)

    def test_release_0_20(self):
        self.check(OLD_ENVIRONMENT, OLD_TESTS)


