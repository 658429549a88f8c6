//! What holds for blobs.

use bytes::Bytes;
use shacache_core::digest::{AliasDigest, AliasHasher, Digest};
use shacache_store::UnclaimedTotals;
use shacache_store::blob::Resolved;
use shacache_store::error::StoreError;

use crate::subject::{Subject, entry, key, some_bytes};

const CHUNK: usize = 64 * 1024;

/// Around the sizes where the way in or out changes.
const SIZES: [usize; 9] =
    [0, 1, 1000, CHUNK - 1, CHUNK, CHUNK + 1, 4 * CHUNK, 4 * CHUNK + 1, 1_000_003];

pub(crate) async fn every_size_comes_back_whole(subject: &mut Subject) {
    for (seed, size) in SIZES.into_iter().enumerate() {
        let bytes = some_bytes(seed as u64, size);
        for (piece, announced) in [(size.max(1), Some(size as u64)), (7001, None)] {
            let stored = subject.upload_pieces(&bytes, piece, announced).await.expect("stored");
            assert_eq!(*stored.digest(), Digest::of(&bytes));
            assert_eq!(stored.size(), size as u64);
        }
    }
    subject.step().await;
    for (seed, size) in SIZES.into_iter().enumerate() {
        let bytes = some_bytes(seed as u64, size);
        let found = subject.download(&Digest::of(&bytes)).await.expect("read");
        assert_eq!(found.expect("the blob is there"), bytes, "{size} bytes");
    }
}

pub(crate) async fn any_range_comes_back(subject: &mut Subject) {
    let size = 5 * CHUNK + 77;
    let bytes = some_bytes(1, size);
    let digest = *subject.upload(&bytes).await.expect("stored").digest();
    let edges = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 5 * CHUNK, size - 1, size];
    for from in edges {
        for to in edges.into_iter().filter(|to| *to >= from) {
            subject.step().await;
            let found = subject.download_range(&digest, from as u64..to as u64).await;
            assert_eq!(found.expect("read"), bytes[from..to], "{from}..{to}");
        }
    }
}

/// So many, piece by piece in turn, that not all of what was checked can wait for them.
pub(crate) async fn many_who_read_at_once_get_it_whole(subject: &mut Subject) {
    const READERS: usize = 500;
    let bytes = some_bytes(9, 2 * CHUNK + 5000);
    let digest = *subject.upload(&bytes).await.expect("stored").digest();
    subject.step().await;
    let blobs = subject.store().blobs();
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let blob = blobs.get(&digest).await.expect("looked up").expect("the blob is there");
        readers.push((blob.read(0..bytes.len() as u64).await.expect("a reader"), 0));
    }
    while !readers.is_empty() {
        let mut unfinished = Vec::new();
        for (mut reader, read) in readers {
            match reader.next().await.expect("read") {
                Some(piece) => {
                    assert_eq!(piece, bytes[read..read + piece.len()], "at {read}");
                    unfinished.push((reader, read + piece.len()));
                }
                None => assert_eq!(read, bytes.len()),
            }
        }
        readers = unfinished;
    }
}

pub(crate) async fn the_same_bytes_are_one_blob(subject: &mut Subject) {
    for size in [10, CHUNK + 10] {
        let bytes = some_bytes(2, size);
        assert!(subject.upload(&bytes).await.expect("stored").was_new());
        subject.step().await;
        assert!(!subject.upload(&bytes).await.expect("stored").was_new());
    }
    assert_eq!(subject.files_below("archive/blobs"), 2);
}

pub(crate) async fn many_at_once_are_all_kept(subject: &mut Subject) {
    let blobs = subject.store().blobs().clone();
    let tasks: Vec<_> = (0..200)
        .map(|number| {
            let blobs = blobs.clone();
            // Every blob is sent twice, and some are larger than memory is given to.
            let size = if number % 10 == 0 { 2 * CHUNK } else { 100 };
            let bytes = Bytes::from(some_bytes(number / 2, size));
            tokio::spawn(async move {
                let mut incoming = blobs.incoming(None)?;
                incoming.write(bytes).await?;
                let stored = incoming.commit(None).await?;
                // Whoever got its answer finds the blob, whatever the other sender does.
                assert!(blobs.get(stored.digest()).await?.is_some());
                Ok::<_, StoreError>(*stored.digest())
            })
        })
        .collect();
    let mut digests = Vec::new();
    for task in tasks {
        digests.push(task.await.expect("no panic").expect("stored"));
    }
    subject.step().await;
    for digest in digests {
        let found = subject.download(&digest).await.expect("read").expect("the blob is there");
        assert_eq!(Digest::of(&found), digest);
    }
    assert_eq!(subject.files_below("tmp"), 0);
}

pub(crate) async fn a_blob_once_seen_stays(subject: &mut Subject) {
    for number in 0..30 {
        let size = if number % 2 == 0 { 10 } else { 2 * CHUNK };
        let bytes = some_bytes(1000 + number, size);
        let digest = Digest::of(&bytes);
        let blobs = subject.store().blobs().clone();
        let watchers: Vec<_> = (0..3)
            .map(|_| {
                let blobs = blobs.clone();
                tokio::spawn(async move {
                    while blobs.get(&digest).await?.is_none() {
                        tokio::task::yield_now().await;
                    }
                    // What one answer showed no later one may deny, a sync under way or not.
                    for _ in 0..50 {
                        assert!(blobs.get(&digest).await?.is_some());
                        tokio::task::yield_now().await;
                    }
                    Ok::<_, StoreError>(())
                })
            })
            .collect();
        subject.upload(&bytes).await.expect("stored");
        for watcher in watchers {
            watcher.await.expect("no panic").expect("read");
        }
    }
    subject.step().await;
}

pub(crate) async fn an_unknown_digest_is_a_miss(subject: &mut Subject) {
    let digest = Digest::of(b"nobody has this");
    assert!(subject.store().blobs().get(&digest).await.expect("read").is_none());
    subject.step().await;
    let alias = AliasDigest::Md5([0; 16]);
    let resolved = subject.store().blobs().resolve(&alias).await;
    assert_eq!(resolved.expect("read"), Resolved::Missing);
}

pub(crate) async fn other_lengths_than_announced_are_refused(subject: &mut Subject) {
    for size in [10_usize, 6 * CHUNK] {
        let bytes = some_bytes(3, size);
        for announced in [size as u64 - 1, size as u64 + 1] {
            let refused = subject.upload_pieces(&bytes, CHUNK, Some(announced)).await;
            assert!(
                matches!(refused, Err(StoreError::WrongLength { expected, .. }) if expected == announced),
                "{refused:?}"
            );
            subject.step().await;
        }
        assert!(subject.download(&Digest::of(&bytes)).await.expect("read").is_none());
    }
    assert_eq!(subject.files_below("archive/blobs"), 0);
}

pub(crate) async fn another_digest_than_expected_is_refused(subject: &mut Subject) {
    for size in [10, 6 * CHUNK] {
        let bytes = some_bytes(4, size);
        let wanted = Digest::of(b"something else");
        let mut incoming = subject.store().blobs().incoming(None).expect("begun");
        incoming.write(bytes.clone().into()).await.expect("written");
        let refused = incoming.commit(Some(&wanted)).await;
        assert!(matches!(refused, Err(StoreError::WrongDigest { .. })), "{refused:?}");
        subject.step().await;
        assert!(subject.download(&wanted).await.expect("read").is_none());
        assert!(subject.download(&Digest::of(&bytes)).await.expect("read").is_none());
    }
    assert_eq!(subject.files_below("archive/blobs"), 0);
}

pub(crate) async fn an_abandoned_upload_leaves_no_trace(subject: &mut Subject) {
    let bytes = some_bytes(5, 20 * CHUNK);
    let mut incoming = subject.store().blobs().incoming(Some(1 << 30)).expect("begun");
    for piece in bytes.chunks(CHUNK) {
        incoming.write(Bytes::copy_from_slice(piece)).await.expect("written");
    }
    drop(incoming);
    // What was being written at that moment ends on a thread of its own.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while subject.files_below("tmp") > 0 && std::time::Instant::now() < deadline {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(subject.files_below("tmp"), 0);
    subject.step().await;
    assert!(subject.download(&Digest::of(&bytes)).await.expect("read").is_none());
}

pub(crate) async fn other_digests_find_the_blob(subject: &mut Subject) {
    let bytes = some_bytes(6, 3 * CHUNK + 5);
    let digest = *subject.upload(&bytes).await.expect("stored").digest();
    let mut hasher = AliasHasher::new();
    hasher.update(&bytes);
    for alias in hasher.finish().all() {
        subject.step().await;
        assert_eq!(subject.resolved(&alias).await, Resolved::One(digest), "{alias}");
    }
}

pub(crate) async fn a_shared_digest_is_ambiguous(subject: &mut Subject) {
    let (one, other) = md5_collision();
    let mut hasher = AliasHasher::new();
    hasher.update(&one);
    let shared = AliasDigest::Md5(hasher.finish().md5);
    let first = *subject.upload(&one).await.expect("stored").digest();
    assert_eq!(subject.resolved(&shared).await, Resolved::One(first));
    let second = *subject.upload(&other).await.expect("stored").digest();
    let mut hasher = AliasHasher::new();
    hasher.update(&other);
    let [_, sha1, sha256] = hasher.finish().all();
    assert_eq!(subject.resolved(&sha1).await, Resolved::One(second));
    assert_eq!(subject.resolved(&shared).await, Resolved::Ambiguous);
    subject.step().await;
    // Never one of the two for the shared digest, once the index knows either.
    assert_eq!(subject.resolved(&sha256).await, Resolved::One(second));
    assert_eq!(subject.download(&first).await.expect("read").expect("there"), one);
    assert_eq!(subject.download(&second).await.expect("read").expect("there"), other);
}

pub(crate) async fn a_banned_blob_is_gone_and_stays_away(subject: &mut Subject) {
    let bytes = some_bytes(7, 100);
    let digest = *subject.upload(&bytes).await.expect("stored").digest();
    subject.ban(&digest).await;
    subject.step().await;
    assert!(subject.download(&digest).await.expect("read").is_none());
    let refused = subject.upload(&bytes).await;
    assert!(matches!(refused, Err(StoreError::Banned(_))), "{refused:?}");
}

pub(crate) async fn an_unclaimed_blob_is_served_once_an_entry_names_it(subject: &mut Subject) {
    let blobs = SIZES.map(|size| some_bytes(70 + size as u64, size));
    for bytes in &blobs {
        let stored = subject.upload_unclaimed(bytes, None).await.expect("stored");
        assert_eq!(*stored.digest(), Digest::of(bytes));
        assert_eq!(stored.size(), bytes.len() as u64);
        assert!(stored.unclaimed_for().is_some());
    }
    subject.step().await;
    for bytes in &blobs {
        let digest = Digest::of(bytes);
        let mut hasher = AliasHasher::new();
        hasher.update(bytes);
        let [_, _, sha256] = hasher.finish().all();
        assert!(subject.download(&digest).await.expect("read").is_none(), "{}", bytes.len());
        let resolved = subject.store().blobs().resolve(&sha256).await.expect("read");
        assert_eq!(resolved, Resolved::Missing, "{} bytes", bytes.len());
        let entry = entry(&digest, "claimed");
        subject.store().directory().append(&key("claim"), entry).await.expect("added");
        assert_eq!(subject.download(&digest).await.expect("read").as_ref(), Some(bytes));
        assert_eq!(subject.resolved(&sha256).await, Resolved::One(digest));
    }
    assert_eq!(subject.files_below("unclaimed"), 0);
    assert_eq!(subject.store().unclaimed(), UnclaimedTotals::default());
}

/// Two messages of 128 bytes with one MD5, published by Wang et al. in 2004.
fn md5_collision() -> (Vec<u8>, Vec<u8>) {
    let mut one = data_encoding::HEXLOWER
        .decode(
            b"d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f89\
              55ad340609f4b30283e488832571415a085125e8f7cdc99fd91dbdf280373c5b\
              d8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0\
              e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70"
                .iter()
                .copied()
                .filter(|byte| !byte.is_ascii_whitespace())
                .collect::<Vec<_>>()
                .as_slice(),
        )
        .expect("hex");
    let other = one.clone();
    for at in [19, 45, 59, 83, 109, 123] {
        one[at] ^= 0x80;
    }
    (other, one)
}
