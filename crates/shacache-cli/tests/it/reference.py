"""The reference server of slapos.libnetworkcache's own tests, on a free port."""
import sys
from http.server import ThreadingHTTPServer
from slapos.libnetworkcachetests import NCHandler


class Handler(NCHandler):
    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.tree = sys.argv[1]
print(server.server_port, flush=True)
server.serve_forever()
