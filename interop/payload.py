"""Data of any size that is made as it is needed: nothing large lies in memory."""

import hashlib
import random

BLOCK_BYTES = 1 << 20


class Payload:
    """`size` bytes that `seed` decides; every block of a mebibyte differs from every other."""

    def __init__(self, size, seed=0):
        self.size = size
        self.pattern = random.Random(seed).randbytes(BLOCK_BYTES)

    def blocks(self):
        for start in range(0, self.size, BLOCK_BYTES):
            block = start.to_bytes(8, "big") + self.pattern[8:]
            yield block[: self.size - start]

    def sha512(self):
        digest = hashlib.sha512()
        for block in self.blocks():
            digest.update(block)
        return digest.hexdigest()

    def write_to(self, path):
        with open(path, "wb") as file:
            for block in self.blocks():
                file.write(block)
        return path


def sha512_of_stream(stream):
    """Reads `stream` to its end and gives the digest of what came, with its length in bytes."""
    digest, length = hashlib.sha512(), 0
    while block := stream.read(BLOCK_BYTES):
        digest.update(block)
        length += len(block)
    return digest.hexdigest(), length
