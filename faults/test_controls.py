"""A test that cannot fail proves nothing. Here each defence is removed from the server, one at a
time, and the very test that watches over it has to fail, and for that reason."""

import contextlib
import unittest

from faults import (
    test_bit_flips,
    test_claims,
    test_collection_race,
    test_crash_states,
    test_entry_set,
    test_failing_calls,
    test_failing_disk,
    test_holds,
    test_kill,
    test_power_cut,
    test_scrub,
    test_sync_order,
)
from faults.fault_test import FaultTest
from faults.removed import removed
from interop import test_credentials, test_disk_full, test_signed

# What an acknowledged upload may have come to on a disk that lost it: nothing, other bytes, or some
# that cannot be read. Which of them is up to the file system.
LOSS = r"status 404|other bytes|wrong bytes|IncompleteRead|is there 0 times"


class Controls(FaultTest):
    def test_power_cut_ext4_without_sync(self):
        self.check("sync", test_power_cut.PowerCut("test_ext4"), LOSS)

    def test_power_cut_xfs_without_sync(self):
        self.check("sync", test_power_cut.PowerCut("test_xfs"), LOSS)

    def test_sync_order_without_sync(self):
        test = test_sync_order.SyncOrder("test_every_201_comes_after_its_syncs")
        self.check("sync", test, "renamed before its data was synced")

    def test_crash_states_without_sync(self):
        test = test_crash_states.CrashStates("test_all_hold_what_was_acknowledged")
        self.check("sync", test, "other bytes|acknowledged, and not there")

    def test_failing_disk_without_sync(self):
        test = test_failing_disk.FailingDisk("test_fsync_fails")
        self.check("sync", test, rf"{LOSS}|status 50[03]")

    def test_failing_calls_without_sync_errors(self):
        test = test_failing_calls.FailingCalls("test_each_call")
        self.check("sync-errors", test, "its sync failed, and it was acknowledged")

    def test_kill_without_answering_last(self):
        test = test_kill.Kill("test_acknowledged_uploads_survive")
        self.check("answer-last", test, "status 404|is there 0 times")

    def test_kill_without_emptying_the_temporary_folder(self):
        test = test_kill.Kill("test_acknowledged_uploads_survive")
        self.check("empty-temporary", test, "leftovers")

    def test_set_under_kills_without_answering_last(self):
        test = test_entry_set.EntrySet("test_under_kills")
        self.check("answer-last", test, "acknowledged are missing")

    def test_set_under_kills_without_order(self):
        test = test_entry_set.EntrySet("test_under_kills")
        self.check("entry-order", test, "the order changed")

    def test_set_under_power_cuts_without_sync(self):
        test = test_entry_set.EntrySet("test_under_power_cuts")
        self.check("sync", test, "acknowledged are missing|the order changed")

    def test_flips_without_checks(self):
        test = test_bit_flips.BitFlips("test_with_checksums_known")
        self.check("checks", test, "served as complete")

    def test_flips_without_index_and_checks(self):
        test = test_bit_flips.BitFlips("test_with_the_index_lost")
        self.check("checks", test, "served as complete")

    def test_check_for_flips_without_checks(self):
        test = test_bit_flips.BitFlips("test_a_check_finds_all")
        self.check("checks", test, "not found")

    def test_collection_race_without_naming(self):
        self.check_race("naming")

    def test_collection_race_without_restoring(self):
        self.check_race("restoring")

    def test_deletions_without_holds(self):
        test = test_holds.Holds("test_what_is_held_stays")
        self.check("holds", test, "held, and gone after gc")

    def check_race(self, defence):
        test = test_collection_race.CollectionRace("test_what_is_named_is_there")
        # A race may end well by chance.
        self.check(defence, test, "names a blob that was collected", chances=10)

    def test_full_disk_without_floor(self):
        test = test_disk_full.DiskFull("test_uploads_are_refused_and_entries_use_the_reserve")
        self.check("floor", test, "507 != 201")

    def test_claims_under_kills_without_claiming_first(self):
        test = test_claims.ClaimUnderKill("test_no_entry_lacks_its_blob")
        self.check("claim-first", test, "published, and its blob .* is not there")

    def test_order_of_claims_without_claiming_first(self):
        test = test_claims.ClaimOrder("test_every_entry_comes_after_its_claim")
        self.check("claim-first", test, "published before its blob was claimed")

    def test_states_of_claims_without_claiming_first(self):
        test = test_claims.ClaimStates("test_all_hold_what_was_acknowledged")
        self.check("claim-first", test, "published, and its blob .* is not there")

    def test_power_cut_of_claims_without_sync(self):
        test = test_claims.ClaimUnderPowerCut("test_ext4")
        self.check("sync", test, f"{LOSS}|is not there")

    def test_strangers_blobs_without_keeping_them_apart(self):
        test = test_signed.Signed("test_what_a_stranger_sends_is_never_served")
        self.check("apart", test, "True is not false")

    def test_strangers_entries_without_signatures(self):
        test = test_signed.Signed("test_refusals_say_why")
        self.check("signatures", test, r"\(201, b''\) != \(403, ")

    def test_a_stranger_uploads_without_signatures(self):
        test = test_signed.Signed("test_what_a_stranger_sends_is_never_served")
        self.check("signatures", test, "True is not false")

    def test_passwords_without_rights(self):
        test = test_credentials.Passwords("test_a_password_in_the_url")
        self.check("rights", test, "AssertionError not raised")

    def test_roles_without_rights(self):
        test = test_credentials.Passwords("test_the_rights_of_a_password")
        self.check("rights", test, "AssertionError not raised")

    def test_certificates_without_rights(self):
        test = test_credentials.Certificates("test_a_certificate_of_the_authority_or_a_listed_key")
        self.check("rights", test, "AssertionError not raised")

    def test_half_of_both_without_rights(self):
        test = test_credentials.Passwords("test_credentials_and_a_signature")
        self.check("rights", test, "AssertionError not raised")

    def test_half_of_both_without_signatures(self):
        test = test_credentials.Passwords("test_credentials_and_a_signature")
        self.check("signatures", test, "AssertionError not raised")

    def test_rate_of_a_check_without_pace(self):
        with class_fixture(test_scrub.Scrub):
            test = test_scrub.Scrub("test_a_rate_is_kept")
            self.check("pace", test, "read faster than it was told to")

    def check(self, defence, test, reason, chances=1):
        """`test` passes elsewhere; without `defence` it has to fail, with `reason` in its words, in
        one of so many runs."""
        test.is_control = True
        with removed(defence):
            for _ in range(chances):
                outcome = unittest.TestResult()
                outcome.failfast = True
                test.run(outcome)
                if not outcome.wasSuccessful():
                    break
        self.assertEqual([text for _, text in outcome.errors], [])
        self.assertEqual(len(outcome.failures), 1, f"nothing was missed without {defence}")
        self.assertRegex(outcome.failures[0][1], reason)
        self.counts.update(getattr(test, "counts", {}))
        self.counts["failed as it must"] += 1


@contextlib.contextmanager
def class_fixture(test_class):
    """What the runner does around all tests of a class."""
    try:
        test_class.setUpClass()
        yield
    finally:
        test_class.doClassCleanups()
