"""Messages that two readers may take for a different number of requests.

In each of them stands another request, made by SMUGGLER. Whoever takes it for one was talked into
it, unless that is the only way to read the message.
"""

SMUGGLER = "smuggler"
SMUGGLED = f"GET /shadir/smuggled HTTP/1.1\r\nHost: a\r\nUser-Agent: {SMUGGLER}\r\n\r\n".encode()

# A body by its length, and a request by its chunks.
AFTER_CHUNKS = b"0\r\n\r\n" + SMUGGLED
# A body by its chunks, and a request by its length.
WITHIN_CHUNK = b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)
SIZE_LINE_BYTES = WITHIN_CHUNK.index(b"\n") + 1

# `{}` is the length under which the two readings differ.
BOTH_LENGTHS = [
    "Content-Length: {}\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: {}\r\n",
    "Content-Length: {}\r\nTransfer-Encoding: Chunked\r\n",
    "Content-Length: {}\r\ntransfer-encoding:chunked\r\n",
    "Content-Length: {}\r\nTransfer-Encoding:\tchunked\r\n",
    "Content-Length: {}\r\nTransfer-Encoding: chunked \r\n",
    "Content-Length: {}\r\nTransfer-Encoding: chunked\t\r\n",
    "Content-Length: {}\r\nTransfer-Encoding: xchunked\r\n",
    "Content-Length: {}\r\nTransfer-Encoding: chunkedx\r\n",
    "Content-Length: {}\r\nTransfer-Encoding: \"chunked\"\r\n",
    "Content-Length: {}\r\nTransfer-Encoding: chunked, identity\r\n",
    "Content-Length: {}\r\nTransfer-Encoding: identity, chunked\r\n",
    "Content-Length: {}\r\nTransfer-Encoding: gzip, chunked\r\n",
    "Content-Length: {}\r\nTransfer-Encoding: chunked, chunked\r\n",
    "Content-Length: {}\r\nTransfer-Encoding: chunked;q=1\r\n",
    "Content-Length: {}\r\nTransfer-Encoding: identity\r\n",
    "Content-Length: {}\r\nTransfer-Encoding:\r\n",
    "Content-Length: {}\r\nTransfer-Encoding : chunked\r\n",
    "Content-Length: {}\r\nTransfer-Encoding\t: chunked\r\n",
    "Content-Length: {}\r\n Transfer-Encoding: chunked\r\n",
    "Content-Length: {}\r\nTransfer-Encoding:\r\n chunked\r\n",
    "Content-Length: {}\r\nX: y\r\n\tTransfer-Encoding: chunked\r\n",
    "Content-Length: {}\r\nTransfer-Encoding: \x0bchunked\r\n",
    "Content-Length: {}\r\nTransfer-Encoding: \x0cchunked\r\n",
    "Content-Length: {}\r\nTransfer-Encoding: \x00chunked\r\n",
    "Content-Length: {}\r\nTransfer-Encoding: chunked\x00\r\n",
    "Content-Length: {}\r\nTransfer-Encoding: \xa0chunked\r\n",
    "Content-Length: {}\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    "Content-Length: {}\r\nTransfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
    "Content-Length: {}\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "Content-Length: {}\r\nX: y\rTransfer-Encoding: chunked\r\n",
    "Content-Length: {}\r\nX: y\nTransfer-Encoding: chunked\r\n",
    "Content-Length: {}\nTransfer-Encoding: chunked\n",
    "Content-Length: {}\r\nConnection: Content-Length\r\nTransfer-Encoding: chunked\r\n",
    "Content-Length: {}\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n",
    "Content-Length: {}\r\nTrailer: Content-Length\r\nTransfer-Encoding: chunked\r\n",
]
# The length alone counts, however much the rest looks like chunks.
ONE_LENGTH = [
    "Content-Length: {}\r\nTransfer_Encoding: chunked\r\n",
    "Content-Length: {}\r\nTE: chunked\r\n",
]
# `{}` is the length of a body in which the other request stands; the rest of the line says less.
TWO_LENGTHS = [
    "Content-Length: {}\r\nTransfer-Encoding=chunked\r\n",
    "Content-Length: 0\r\nContent-Length: {}\r\n",
    "Content-Length: {}\r\nContent-Length: 0\r\n",
    "Content-Length: 0, {}\r\n",
    "Content-Length: {}, 0\r\n",
    "Content-Length: {}, {}\r\n",
    "Content-Length: +{}\r\n",
    "Content-Length: -{}\r\n",
    "Content-Length: {}.0\r\n",
    "Content-Length: {}e0\r\n",
    "Content-Length: 0x{}\r\n",
    "Content-Length: {} 0\r\n",
    "Content-Length: 1_{}\r\n",
    "Content-Length: \x0b{}\r\n",
    "Content-Length: \"{}\"\r\n",
    "Content-Length : {}\r\n",
    "Content-Length:\r\n {}\r\n",
    " Content-Length: {}\r\n",
    "Content-Length: 18446744073709551616{}\r\n",
    "Content-Length:\r\nContent-Length: {}\r\n",
    "Content_Length: 0\r\nContent-Length: {}\r\n",
    "Content-Length: {}\nContent-Length: 0\r\n",
    "Content-Length: {}\rContent-Length: 0\r\n",
]
# What stands after `Transfer-Encoding: chunked`; the other request hides in what is no chunk.
CHUNKS = [
    b"0;" + SMUGGLED + b"\r\n\r\n",
    b"0;a=\"\r\n\r\n" + SMUGGLED,
    b"0;a=b\n\n" + SMUGGLED,
    b"0\n\n" + SMUGGLED,
    b"0\r\r" + SMUGGLED,
    b"0\r\n\n" + SMUGGLED,
    b"0\n\r\n" + SMUGGLED,
    b"0x0\r\n\r\n" + SMUGGLED,
    b"-0\r\n\r\n" + SMUGGLED,
    b"+0\r\n\r\n" + SMUGGLED,
    b" 0\r\n\r\n" + SMUGGLED,
    b"00000000000000000000\r\n\r\n" + SMUGGLED,
    b"10000000000000000\r\n" + SMUGGLED + b"\r\n0\r\n\r\n",
    b"5\r\nhello" + SMUGGLED + b"\r\n0\r\n\r\n",
    b"5\r\nhelloXX0\r\n\r\n" + SMUGGLED,
    b"5\r\nhello\n0\r\n\r\n" + SMUGGLED,
    b"5 ; \r\nhello\r\n0\r\n\r\n" + SMUGGLED,
    b"5\r;\nhello\r\n0\r\n\r\n" + SMUGGLED,
    b"0\r\nContent-Length: 5\r\n\r\n" + SMUGGLED,
    b"0\r\nTransfer-Encoding: chunked\r\n\r\n" + SMUGGLED,
    b"0\r\n " + SMUGGLED,
    b"0\r\nX: y\r\n" + SMUGGLED,
    b"\r\n0\r\n\r\n" + SMUGGLED,
    b"g\r\n" + SMUGGLED,
]
# Heads that some reader ends earlier, later or elsewhere than another.
HEADS = [
    b"GET /shadir/a HTTP/1.1\r\nHost: a\r\nX: \n\n" + SMUGGLED,
    b"GET /shadir/a HTTP/1.1\r\nHost: a\r\nX: \r\r" + SMUGGLED,
    b"GET /shadir/a HTTP/1.1\r\nHost: a\r\n \r\n" + SMUGGLED,
    b"GET /shadir/a HTTP/1.1\r\nHost: a\r\nX: y\x00\r\n\r\n" + SMUGGLED,
    b"GET /shadir/a HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\nUpgrade: h2c\r\n"
    b"Connection: Upgrade\r\n\r\n" % len(SMUGGLED) + SMUGGLED,
    b"GET /shadir/a HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n"
    % len(SMUGGLED) + SMUGGLED,
    b"HEAD /shadir/a HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED,
    b"GET /shadir/a\r\n\r\n" + SMUGGLED,
    b"GET /shadir/a HTTP/0.9\r\n\r\n" + SMUGGLED,
    b"GET /shadir/a HTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n" + SMUGGLED,
    b"GET /shadir/a HTTP/2.0\r\nHost: a\r\n\r\n" + SMUGGLED,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SMUGGLED,
    b"GET  /shadir/a HTTP/1.1\r\nHost: a\r\n\r\n" + SMUGGLED,
    b"GET\t/shadir/a\tHTTP/1.1\r\nHost: a\r\n\r\n" + SMUGGLED,
    b"GET /shadir/a HTTP/1.1\rHost: a\r\r" + SMUGGLED,
    b"GET /shadir/a\rHTTP/1.1\r\nHost: a\r\n\r\n" + SMUGGLED,
    b"POST /shadir/a HTTP/1.0\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n"
    + AFTER_CHUNKS,
    b"GET http://b/shadir/a HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: %d\r\n\r\n"
    % len(SMUGGLED) + SMUGGLED,
]


def messages():
    """Every message with a name for it."""
    for fields in BOTH_LENGTHS:
        for body, length in ((AFTER_CHUNKS, len(AFTER_CHUNKS)), (WITHIN_CHUNK, SIZE_LINE_BYTES)):
            yield repr(fields), post(fields.replace("{}", str(length))) + body
    for fields in ONE_LENGTH:
        yield repr(fields), post(fields.replace("{}", str(len(AFTER_CHUNKS)))) + AFTER_CHUNKS
    for fields in TWO_LENGTHS:
        yield repr(fields), post(fields.replace("{}", str(len(SMUGGLED)))) + SMUGGLED
    for chunks in CHUNKS:
        yield repr(chunks), post("Transfer-Encoding: chunked\r\n") + chunks
    for head in HEADS:
        yield repr(head), head


def post(fields):
    return f"POST /shadir/first HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode("latin-1")
