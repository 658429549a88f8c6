//! The contract of blobs and of the directory: what holds for every kind of archive, whatever
//! happens to the index and however often the store is opened anew. The cases speak to a `Subject`
//! only; a new backend is another way to open one, and one more line in `each_kind!`.

use super::subject::{Between, Subject};

mod administration;
mod blobs;
mod directory;
pub(crate) mod listing;

/// Runs every case of the contract on every kind of store.
macro_rules! each_kind {
    ($($matter:ident::$case:ident,)+) => {
        each_kind!(@kind plain, Between::Nothing, $($matter::$case,)+);
        each_kind!(@kind index_vanishes, Between::IndexVanishes, $($matter::$case,)+);
        each_kind!(@kind reopened, Between::Reopened, $($matter::$case,)+);
        each_kind!(@kind reopened_without_index, Between::ReopenedWithoutIndex, $($matter::$case,)+);
    };
    (@kind $kind:ident, $between:expr, $($matter:ident::$case:ident,)+) => {
        mod $kind {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let mut subject = Subject::new($between);
                    $matter::$case(&mut subject).await;
                    subject.close().await;
                }
            )+
        }
    };
}

each_kind! {
    blobs::every_size_comes_back_whole,
    blobs::any_range_comes_back,
    blobs::many_who_read_at_once_get_it_whole,
    blobs::the_same_bytes_are_one_blob,
    blobs::many_at_once_are_all_kept,
    blobs::a_blob_once_seen_stays,
    blobs::an_unknown_digest_is_a_miss,
    blobs::other_lengths_than_announced_are_refused,
    blobs::another_digest_than_expected_is_refused,
    blobs::an_abandoned_upload_leaves_no_trace,
    blobs::other_digests_find_the_blob,
    blobs::a_shared_digest_is_ambiguous,
    blobs::a_banned_blob_is_gone_and_stays_away,
    blobs::an_unclaimed_blob_is_served_once_an_entry_names_it,
    directory::an_unknown_key_is_a_miss,
    directory::entries_come_back_as_they_were_put,
    directory::entries_are_listed_oldest_first,
    directory::the_same_entry_is_one_entry,
    directory::spellings_of_a_signature_are_one_entry,
    directory::odd_keys_do_not_meet,
    directory::many_writers_lose_nothing,
    directory::a_removed_entry_is_hidden_until_it_is_put_again,
    directory::the_tag_changes_with_the_list,
    directory::a_full_key_takes_no_more,
    administration::what_no_entry_names_is_collected_and_comes_back,
    administration::a_removed_entry_needs_its_blob_no_more,
    administration::an_entry_whose_blob_is_missing_is_collected,
    administration::when_most_blobs_are_missing_nothing_is_collected,
    administration::entries_expire_when_somebody_says_so,
    administration::a_held_blob_outlives_every_deletion,
    administration::a_held_orphan_is_not_collected,
    administration::the_end_of_a_ban_brings_the_bytes_back,
    listing::entries_are_found_by_what_they_say,
    listing::pages_have_everything_once,
}
