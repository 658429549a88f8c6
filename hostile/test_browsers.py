"""What a browser makes of what clients put here: nothing that was uploaded runs, pages of other
origins neither read nor write, and every answer says so in its headers."""

import hashlib
import http.server
import json
import subprocess
import threading

from hostile.hostile_test import HostileTest
from hostile.raw_client import exchange
from interop.http_client import get_entries, post_blob, put_entry, request

BROWSER = "chromium-headless-shell"
BROWSER_LIMIT_S = 60
DIGEST = "0" * 128
# What every answer says, whatever else it says.
ALWAYS = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
KEY = "page"


class Browsers(HostileTest):
    def test_headers_of_every_answer(self):
        self.check_headers(self.configured())

    def test_headers_naively_missing(self):
        with self.is_noticed("nosniff"):
            self.check_headers(self.naive())

    def check_headers(self, server):
        digest = post_blob(server, b"<script>alert(1)</script>").body.decode()
        entry = json.dumps([json.dumps({"sha512": digest}), ""])
        self.assertEqual(put_entry(server, KEY, entry).status, 201)
        blob, key = f"/shacache/{digest}", f"/shadir/{KEY}"
        tag = {"If-None-Match": f'"{digest}"'}
        for method, path, headers, status in [
            ("GET", blob, {}, 200),
            ("HEAD", blob, {}, 200),
            ("GET", blob, {"Range": "bytes=3-"}, 206),
            ("GET", blob, {"Range": "bytes=1000-"}, 416),
            ("GET", blob, tag, 304),
            ("GET", f"/shacache/{DIGEST}", {}, 404),
            ("GET", "/shacache/<script>", {}, 400),
            ("GET", key, {}, 200),
            ("GET", "/shadir/%3Cscript%3E", {}, 404),
            ("GET", "/shadir/%00", {}, 400),
            ("DELETE", key, {}, 405),
            ("OPTIONS", key, {}, 204),
            ("PUT", key, {"Origin": "https://evil.example"}, 403),
            ("PUT", key, {"Content-Length": str(1 << 40)}, 413),
            ("GET", "/", {}, 404),
            ("GET", "/healthz", {}, 200),
            ("GET", "/readyz", {}, 200),
            ("GET", "/metrics", {}, 200),
            ("GET", "/version", {}, 200),
        ]:
            answer = request(server, method, path, headers=headers)
            self.check_answer(f"{method} {path}", status, answer.status, answer.headers)
            if path == blob and status in (200, 206):
                self.assertEqual(answer.headers["Content-Type"], "application/octet-stream")
                self.assertEqual(answer.headers["Content-Disposition"], "attachment")
        # Refused before any route was looked for.
        for message, status in [
            (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n", 414),
            (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100 + b"\r\n", 431),
            (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
        ]:
            [answer] = exchange(server.address, message)
            self.check_answer(message[:40], status, answer.status, answer.headers)

    def check_answer(self, what, status, found_status, headers):
        found = {name.lower(): value for name, value in headers.items()}
        for name, value in ALWAYS.items():
            self.assertIn(value, found.get(name, ""), f"{what}: {name} is not {value}")
        self.assertEqual(found_status, status, what)
        self.assertNotIn("access-control-allow-origin", found)
        self.assertNotIn("text/html", found.get("content-type", ""))
        self.counts["answers"] += 1

    def test_pages_that_got_a_name_to_lead_here(self):
        """What a browser sends for a page whose owner has let its name mean this server (DNS
        rebinding): all is of one origin."""
        server = self.configured('upload.page-hosts = ["cache.example"]')
        self.check_name(server, "evil.example")
        with self.is_noticed("was written"):
            self.check_name(server, "cache.example")

    def test_pages_that_got_a_name_to_lead_here_naively_served(self):
        with self.is_noticed("was written"):
            self.check_name(self.naive(), "evil.example")

    def check_name(self, server, name):
        host = f"{name}:{server.address[1]}"
        page = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
        entry = json.dumps([json.dumps({"sha512": DIGEST}), ""])
        for method, path, media_type, body in [
            ("PUT", "/shadir/rebound", "application/json", entry),
            ("POST", "/shacache/", "application/octet-stream", "bytes"),
            ("PUT", f"/shacache/{hashlib.sha512(b'bytes').hexdigest()}",
             "application/octet-stream", "bytes"),
        ]:
            answer = request(server, method, path, body, {**page, "Content-Type": media_type})
            self.assertEqual(answer.status, 403, f"{method} {path}: it was written")
            self.counts["refused"] += 1

    def test_nothing_runs_in_a_browser(self):
        happened = self.visit(self.configured())
        self.assertEqual(happened, {"page loaded", "fetch of the blob failed", "image failed"})

    def test_what_runs_in_a_browser_that_is_naively_served(self):
        happened = self.visit(self.naive())
        for event in ("blob ran", "script ran as a script", "image loaded", "entry written"):
            self.assertIn(event, happened)

    def visit(self, server):
        """Has a browser visit every page an attacker could make; gives what scripts reported."""
        with Attacker() as attacker:
            def beacon(event):
                return f"new Image().src = '{attacker.url}/happened/{event}'"

            page = f"<html><script>{beacon('blob ran')}</script></html>".encode()
            script = beacon("script ran").encode()
            digest = post_blob(server, page).body.decode()
            script_digest = post_blob(server, script + b" + ' as a script'").body.decode()
            text = f"<script>{beacon('entry ran')}</script>"
            put_entry(server, "<script>", json.dumps([json.dumps({
                "sha512": digest, "file": text, "url": f"javascript:{beacon('link ran')}",
            }), ""]))
            address = "http://{}:{}".format(*server.address)
            attacker.page = f"""
                <html><body onload="{beacon('page loaded')}">
                <script src="{address}/shacache/{script_digest}"></script>
                <iframe src="{address}/shacache/{digest}"></iframe>
                <iframe src="{address}/shadir/%3Cscript%3E"></iframe>
                <object data="{address}/shacache/{digest}"></object>
                <embed src="{address}/shacache/{digest}">
                <img src="{address}/shacache/{post_blob(server, IMAGE).body.decode()}"
                    onload="{beacon('image loaded')}" onerror="{beacon('image failed')}">
                <form id="form" method="post" enctype="text/plain" target="frame"
                    action="{address}/shadir/forged">
                    <input name='["{{\\"sha512\\": \\"{DIGEST}\\"}}", "' value='"]'></form>
                <iframe name="frame"></iframe>
                <script>
                    form.submit();
                    fetch('{address}/shacache/{digest}').then(r => r.text()).then(
                        () => {beacon('blob read')}, () => {beacon('fetch of the blob failed')});
                    fetch('{address}/shadir/forged-too', {{method: 'PUT', mode: 'no-cors',
                        body: '["{{\\\\"sha512\\\\": \\\\"{DIGEST}\\\\"}}", ""]'}});
                </script></body></html>"""
            for url in (
                attacker.url + "/page", f"{address}/shacache/{digest}",
                f"{address}/shacache/{digest}?name=page.html", f"{address}/shadir/%3Cscript%3E",
                f"{address}/shadir/{text.replace(' ', '%20')}", f"{address}/{text}",
            ):
                self.browse(url)
                self.counts["pages"] += 1
            for key in ("forged", "forged-too"):
                if get_entries(server, key).status != 404:
                    attacker.happened.add("entry written")
            return attacker.happened

    def browse(self, url):
        profile = self.folder / f"profile-{self.counts['pages']}"
        subprocess.run(
            [
                BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
                "--no-first-run", "--disable-background-networking", "--disable-component-update",
                "--disable-sync", f"--user-data-dir={profile}", "--virtual-time-budget=3000",
                "--dump-dom", url,
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            timeout=BROWSER_LIMIT_S, check=False,
        )


class Attacker:
    """A site of another origin, which notes what scripts in the browser report to it."""

    def __init__(self):
        self.page = ""
        self.happened = set()
        attacker = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                _, found, event = self.path.partition("/happened/")
                if found:
                    attacker.happened.add(event.replace("%20", " "))
                body = attacker.page.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:{}".format(self.server.server_address[1])
        self.thread = threading.Thread(target=self.server.serve_forever)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


# One pixel.
IMAGE = bytes.fromhex("47494638396101000100800000ffffff00000021f90400000000002c00000000010001000002"
                      "02440100 3b".replace(" ", ""))
