"""Uploads to a server of its own with the real client and keeps the entry that it sends.

usage: record-upload.py OUTPUT [KEY_FILE CERTIFICATE_FILE]
"""
import base64
import hashlib
import http.server
import io
import sys
import threading

# Release 0.20 uses names that Python 3.9 removed; they were the same functions.
base64.encodestring = base64.encodebytes
base64.decodestring = base64.decodebytes

from slapos.libnetworkcache import NetworkcacheClient


class Recorder(http.server.BaseHTTPRequestHandler):
    entry = None

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def body(self):
        return self.rfile.read(int(self.headers["Content-Length"]))

    def do_GET(self):
        self.answer(404)

    def do_POST(self):
        self.answer(201, hashlib.sha512(self.body()).hexdigest().encode())

    def do_PUT(self):
        Recorder.entry = self.body()
        self.answer(201)

    def log_message(self, *args):
        pass


output, *signing = sys.argv[1:]
if signing:
    # The client refuses a key without a certificate in its list.
    with open(signing[1]) as f:
        signing[1] = f.read()
server = http.server.HTTPServer(("127.0.0.1", 0), Recorder)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = "http://127.0.0.1:%s" % server.server_port
client = NetworkcacheClient(url + "/shacache", url + "/shadir", *signing)
client.upload(
    io.BytesIO(b"hello world\n"),
    "file-urlmd5:0123456789abcdef0123456789abcdef",
    urlmd5="0123456789abcdef0123456789abcdef",
    file="hello.txt",
    url="http://example.com/h\u00e9llo",
    os=["debian", "12", ""],
    timestamp=1700000000.1234567,
)
with open(output, "wb") as f:
    f.write(Recorder.entry)
