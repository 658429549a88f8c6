"""Debian's nginx and haproxy in front of a server, each keeping its connections to it open.

Every request that a proxy has seen as one says so in its User-Agent, which the server logs.
"""

import subprocess

from interop.http_client import request
from interop.nginx import PORTS_TRIED, SEARCH_PATH, free_port
from interop.server import STOP_LIMIT_S, wait_until

NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream behind {{
        server {behind};
        keepalive 4;
    }}
    server {{
        listen 127.0.0.1:{port};
        merge_slashes off;
        client_max_body_size 0;
        client_header_timeout 1s;
        client_body_timeout 1s;
        location / {{
            proxy_pass http://behind;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header User-Agent seen;
            proxy_request_buffering off;
            proxy_buffering off;
        }}
    }}
}}
"""
HAPROXY = """
global
    maxconn 200
defaults
    mode {mode}
    timeout connect 2s
    timeout client 1s
    timeout server 5s
frontend front
    bind 127.0.0.1:{port}
    default_backend behind
    {front}
backend behind
    {back}
    server behind {behind}
"""
LENIENT = "option accept-invalid-http-request"
SEEN = "http-reuse always\n    http-request set-header User-Agent seen"


class Proxy:
    """One proxy on a free port. Use it as a context manager."""

    def __init__(self, folder, command):
        self.folder = folder
        self.command = command
        self.process = None
        self.address = None

    def __enter__(self):
        # Neither can choose a port; one that was free may be taken before it gets there.
        for _ in range(PORTS_TRIED):
            self.address = ("127.0.0.1", free_port())
            self.process = subprocess.Popen(
                self.command(self.address[1]), env={"PATH": SEARCH_PATH},
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
            wait_until(lambda: self.process.poll() is not None or self.answers(), "a proxy answers")
            if self.process.poll() is None:
                return self
        raise AssertionError("the proxy did not start")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(STOP_LIMIT_S)

    def answers(self):
        try:
            return request(self, "GET", "/shadir/before", timeout_s=1).status == 404
        except OSError:
            return False


def nginx(folder, server):
    folder = folder / "nginx"
    folder.mkdir()

    def command(port):
        behind = "{}:{}".format(*server.address)
        configuration = folder / "nginx.conf"
        configuration.write_text(NGINX.format(folder=folder, port=port, behind=behind))
        return ["nginx", "-p", folder, "-e", "stderr", "-c", configuration]

    return Proxy(folder, command)


def haproxy(folder, server, *, name="haproxy", mode="http", lenient=False):
    """In the mode "tcp" it passes on what comes; `lenient`, it minds little of what is odd."""
    folder = folder / name
    folder.mkdir()

    def command(port):
        behind = "{}:{}".format(*server.address)
        configuration = folder / "haproxy.cfg"
        configuration.write_text(HAPROXY.format(
            mode=mode, port=port, behind=behind, front=LENIENT if lenient else "",
            back=SEEN if mode == "http" else "",
        ))
        return ["haproxy", "-db", "-f", configuration]

    return Proxy(folder, command)
