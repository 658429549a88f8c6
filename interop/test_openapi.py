"""The server against its own description at `/openapi.json`, judged by schemathesis: no answer may
be an error of the server, have a status or a form that is not described, or take what the
description forbids."""

import json
import os
import re
import subprocess
import urllib.request
from pathlib import Path

from interop import tier
from interop.folder_test import FolderTest
from interop.http_client import post_blob, put_entry, request
from interop.server import CHECKOUT, Shacached, run_shacached

SCHEMATHESIS = CHECKOUT / ".test/venv-schemathesis/bin/schemathesis"
HERE = Path(__file__).parent / "openapi"
CASES = 2000 if tier.LONG else 200
LIMIT_S = 1800 if tier.LONG else 120


class OpenApi(FolderTest):
    def setUp(self):
        super().setUp()
        self.server = self.start(Shacached(self.folder / "data"))
        with urllib.request.urlopen(self.server.base_url + "/openapi.json") as answer:
            self.document = json.load(answer)

    def test_the_server_keeps_to_its_description(self):
        operations = sum(len(item) for item in self.document["paths"].values())
        # An operation without parameters has one case, whatever is asked for.
        each = -(-2 * CASES // operations) if tier.LONG else -(-CASES // operations)
        code, report = self.judge(self.document, "--max-examples", str(each))
        self.assertEqual(code, 0, report)
        tried = re.search(r"(\d+) generated", report)
        self.assertGreaterEqual(int(tried[1]), CASES, report)

    def test_operators_are_answered_as_described(self):
        """Without a token they are only refused."""
        digest = post_blob(self.server, b"to be found, held, banned and collected").body.decode()
        for number in range(3):
            body = json.dumps([json.dumps({"sha512": digest, "number": number}), ""])
            self.assertEqual(put_entry(self.server, f"key/{number}", body).status, 201)
        token = run_shacached(
            "token", "new", "operator", "--role", "admin", "--data", self.server.data
        ).strip()
        code, report = self.judge(
            self.document, "--max-examples", "40" if tier.LONG else "4",
            "--include-path-regex", "^/admin/", "--header", f"Authorization: Bearer {token}",
            # Wrong tokens over and over are held up, which it takes for something else.
            "--exclude-checks", "ignored_auth",
        )
        self.assertEqual(code, 0, report)
        # What was asked for was done, too, or the token was not taken.
        metrics = request(self.server, "GET", "/metrics").body.decode()
        done = re.findall(r'^\w*requests_total\{.*route="administration".*code="200"\} (\d+)', metrics, re.M)
        self.assertGreater(sum(map(int, done)), 5, metrics)

    def test_a_status_that_is_not_described_fails(self):
        self.refuses("getBlob", "Undocumented status code", lambda it: it.pop("404"))

    def test_a_body_that_is_not_described_fails(self):
        def a_list(responses):
            responses["200"]["content"]["application/json"]["schema"] = {"type": "array"}

        self.refuses("getVersion", "Response violates schema", a_list)

    def refuses(self, operation, complaint, doctor):
        """Shows that the judge sees a description that is wrong in one place."""
        document = json.loads(json.dumps(self.document))
        for item in document["paths"].values():
            for method in item.values():
                if method["operationId"] == operation:
                    doctor(method["responses"])
        code, report = self.judge(
            document, "--max-examples", "20", "--include-operation-id", operation
        )
        self.assertEqual(code, 1, report)
        self.assertIn(complaint, report)

    def judge(self, document, *arguments):
        file = self.folder / "openapi.json"
        file.write_text(json.dumps(document))
        done = subprocess.run(
            [
                SCHEMATHESIS, "--config-file", HERE / "schemathesis.toml", "run", file,
                "--url", self.server.base_url, "--checks", "all", "--continue-on-failure",
                "--warnings", "off", *arguments,
            ],
            cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=LIMIT_S, env={
                **os.environ, "SCHEMATHESIS_HOOKS": "formats", "PYTHONPATH": str(HERE),
                "NO_COLOR": "1",
            },
        )
        return done.returncode, done.stdout + done.stderr
