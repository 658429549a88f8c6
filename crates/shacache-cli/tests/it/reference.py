"""The reference server of slapos.libnetworkcache's own tests, on a free port.

Arguments: the folder it serves and, for TLS with obligatory client certificates, a file with its
certificate and key and a file with the authority of the clients.
"""
import ssl
import sys
from http.server import ThreadingHTTPServer
from slapos.libnetworkcachetests import NCHandler


class Handler(NCHandler):
    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.tree = sys.argv[1]
if sys.argv[2:]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2])
    context.load_verify_locations(sys.argv[3])
    context.verify_mode = ssl.CERT_REQUIRED
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print(server.server_port, flush=True)
server.serve_forever()
