"""Blobs without credentials on their way into the archive, under kills and power cuts: a published
entry never lacks its blob, what was acknowledged is there, and what waits can still be claimed.
"""

import os
import random
import re
import shutil
import time

from faults import publishing, test_crash_states, test_power_cut
from faults.acknowledged import Claimable, metadata
from faults.archive import unfit, without_blob
from faults.fault_test import FaultTest, by_tier
from faults.signer import QuickSigner
from faults.test_sync_order import Order
from faults.trace import Trace
from faults.uploaders import SignedUploaders
from interop.http_client import get_blob, post_blob, put_entry
from interop.server import Shacached, wait_until

CLIENTS = 8
SIZES_BYTES = [1, 100, 4_000, 65_536, 65_537, 300_000]
BLOBS = 60
# More than one thread does for a claim.
OPENS = 14
# Calls without which the trace of a good server has to look bad.
SYNC_OF_BLOB_FOLDERS = re.compile(r"/blobs/../..$")


class ClaimUnderKill(FaultTest):
    def test_no_entry_lacks_its_blob(self):
        kills = by_tier(6, 100)
        signer = QuickSigner(self.folder)
        server = self.start(signer.server(self.folder / "data"))
        chance = random.Random(3)
        everything = Claimable()
        for kill in range(kills):
            cycle = Claimable()
            with SignedUploaders(
                server, cycle, f"kill/{kill}",
                signer=signer, clients=CLIENTS, sizes_bytes=SIZES_BYTES,
            ):
                wait_until(lambda c=cycle: c.waiting, "a blob waits")
                # The moment is the point: it has to fall anywhere in a claim.
                time.sleep(chance.uniform(0.02, 0.3))
                server.kill()
            self.assertEqual([*unfit(server.data), *without_blob(server.data)], [])
            server.start()
            self.counts["waiting"] += len(cycle.waiting)
            self.assertEqual(cycle.lost(server), [])
            everything.merge(cycle)
            self.counts["kills"] += 1
        self.assertEqual(everything.lost(server), [])
        self.assertEqual(list((server.data / "quarantine").rglob("*")), [])
        self.counts["acknowledged"] = everything.count()
        self.assertGreater(self.counts["acknowledged"], 2 * kills)
        self.assertGreater(self.counts["waiting"], 0)


class ClaimWithoutDescriptors(FaultTest):
    def test_what_cannot_be_claimed_still_waits(self):
        signer = QuickSigner(self.folder)
        server = self.start(signer.server(self.folder / "data"))
        for at in range(1, OPENS + 1):
            data = b"claimed when the %d. folder cannot be opened" % at
            digest = post_blob(server, data).body.decode()
            key, body = f"key-{at}", signer.entry_body(metadata(digest))
            trace = Trace(
                server, self.folder / "strace", ["openat2"],
                inject=f"openat2:error=EMFILE:when={at}",
            )
            with trace:
                status = put_entry(server, key, body).status
            self.assertIn(status, (201, 503))
            self.counts["claims"] += 1
            self.counts["refused"] += status == 503
            with self.subTest(f"at {at}"):
                self.assertEqual(put_entry(server, key, body).status, 201)
                self.assertEqual(get_blob(server, digest).body, data)
        self.assertGreater(self.counts["refused"], 4)


class ClaimUnderPowerCut(test_power_cut.PowerCut):
    ext4_cuts = (3, 100)
    xfs_cuts = (3, 50)
    # Signing takes its time.
    least_per_cut = 2

    def setUp(self):
        super().setUp()
        self.signer = QuickSigner(self.folder)

    def server(self, data):
        return self.signer.server(data)

    def acknowledged(self):
        return Claimable()

    def uploaders(self, server, acknowledged, name):
        return SignedUploaders(
            server, acknowledged, name,
            signer=self.signer, clients=CLIENTS, sizes_bytes=SIZES_BYTES,
        )

    def unfit(self, data):
        return [*unfit(data), *without_blob(data)]


class ClaimOrder(FaultTest):
    def test_every_entry_comes_after_its_claim(self):
        signer = QuickSigner(self.folder)
        server = self.start(signer.server(self.folder / "data"))
        with publishing.traced(server, self.folder / "strace") as trace:
            pairs = publishing.publish_signed(server, signer, BLOBS)
        self.assertEqual(len(pairs), BLOBS)
        uploads = [upload for pair in pairs for upload in pair if upload is not None]
        order = Order(trace.calls(), uploads)
        violations = [line for upload in uploads for line in order.violations(upload)]
        self.assertEqual([*violations, *unordered(order, pairs)], [])
        self.counts["claims"] = sum(entry is not None for _, entry in pairs)
        self.assertGreater(self.counts["claims"], BLOBS // 2)

        def is_sync(call):
            is_folder = call.name == "fsync" and SYNC_OF_BLOB_FOLDERS.search(call.descriptor_path)
            return is_folder or call.name == "syncfs"

        doctored = Order([call for call in order.calls if not is_sync(call)], uploads)
        self.assertNotEqual(list(unordered(doctored, pairs)), [])


def unordered(order, pairs):
    """One line for each entry that could be on disk without its blob."""
    for blob, entry in pairs:
        if entry is None:
            continue
        unclaimed = "/unclaimed/" + blob.file.rpartition("/")[2]
        claims = [call for call in order.renames if call.paths[0].endswith(unclaimed)]
        published = [call for call in order.renames if entry.matches(call.paths[1])]
        if len(claims) != 1 or not published:
            yield f"{entry.name}: {len(claims)} claims, published {len(published)} times"
            continue
        begin = published[0].begin
        folder = os.path.dirname(claims[0].paths[1])
        if order.sync_between(folder, claims[0].end, begin) is None:
            yield f"{entry.name}: published before its blob was claimed and synced"
        while made := order.folders.get(folder):
            folder = os.path.dirname(folder)
            if order.sync_between(folder, made.end, begin) is None:
                yield f"{entry.name}: published before a new folder of its blob was synced"


class ClaimStates(test_crash_states.CrashStates):
    """Every state that a power cut may leave, as for other uploads."""

    def test_all_hold_what_was_acknowledged(self):
        images, started = by_tier((200, 4), (5_000, 100))
        crashes = self.record()
        self.check_images(crashes, images, started)
        self.assertGreater(self.counts["acknowledged before"], 5 * images)

    def record(self):
        data = self.folder / "data"
        signer = QuickSigner(self.folder)
        with Shacached(data) as maker:
            maker.stop()
        skeleton = self.folder / "skeleton"
        shutil.copytree(data, skeleton, ignore=shutil.ignore_patterns("clean"))
        with signer.server(data) as server:
            with publishing.traced(server, self.folder / "strace") as trace:
                pairs = publishing.publish_signed(server, signer, BLOBS)
            self.assertEqual(len(pairs), BLOBS)
        uploads = [upload for pair in pairs for upload in pair if upload is not None]
        return ClaimCrashes(trace.calls(), data, skeleton, uploads)


class ClaimCrashes(test_crash_states.Crashes):
    def problems(self):
        return [*super().problems(), *without_blob(self.data)]

    def served(self):
        """Those that an acknowledged entry names; it stands at the name of its blob's request."""
        claimed = {
            f"b{upload.name[1:]}" for upload in self.acknowledged() if upload.method == "PUT"
        }
        blobs = [upload for upload in self.uploads if upload.name in claimed]
        return [upload.file.rpartition("/")[2] for upload in blobs]

    def missing(self):
        """A blob may wait, or be in the archive already."""
        there = {
            file.read_bytes() for folder in ("archive", "unclaimed")
            for file in (self.data / folder).rglob("*") if file.is_file()
        }
        for upload in self.acknowledged():
            if upload.body not in there:
                yield f"{upload.name}: acknowledged, and not there"
