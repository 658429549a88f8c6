"""Single HTTP requests, for what the real client cannot show: statuses, headers, raw targets."""

import http.client
from dataclasses import dataclass


@dataclass
class Answer:
    """The whole answer to one request."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


def request(server, method, path, body=None, headers=None, timeout_s=60):
    """Sends one request on a connection of its own, `path` exactly as given."""
    connection = http.client.HTTPConnection(*server.address, timeout=timeout_s)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def post_blob(server, data):
    return request(server, "POST", "/shacache/", data, {"Content-Type": "application/octet-stream"})


def get_blob(server, digest):
    return request(server, "GET", f"/shacache/{digest}")


def put_entry(server, key, body):
    return request(server, "PUT", f"/shadir/{key}", body, {"Content-Type": "application/json"})


def get_entries(server, key):
    return request(server, "GET", f"/shadir/{key}")
