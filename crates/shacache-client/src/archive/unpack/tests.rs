use std::fs;
use std::io::{Seek, Write};
use std::os::unix::fs::{PermissionsExt, symlink};

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, Header};
use tempfile::TempDir;

use super::*;
use crate::archive::pack;

/// One member of a hand-made archive.
#[derive(Clone, Copy)]
struct Member<'a>(EntryType, &'a str, &'a str);

fn archive(members: &[Member<'_>]) -> File {
    let mut tar = Builder::new(GzEncoder::new(tempfile::tempfile().unwrap(), Compression::fast()));
    for Member(kind, path, content) in members {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        // Written by hand, as the library refuses to write what is to be refused here.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_mode(0o6755);
        header.set_mtime(1_000_000_000);
        let is_file = *kind == EntryType::Regular;
        if !is_file {
            header.as_old_mut().linkname[..content.len()].copy_from_slice(content.as_bytes());
        }
        header.set_size(if is_file { content.len() as u64 } else { 0 });
        header.set_cksum();
        let body = if is_file { content.as_bytes() } else { b"" };
        tar.append(&header, body).unwrap();
    }
    let mut file = tar.into_inner().unwrap().finish().unwrap();
    file.rewind().unwrap();
    file
}

/// Unpacks into a jail; whatever happens, nothing may change outside of it.
fn attempt(members: &[Member<'_>]) -> (TempDir, Result<Vec<PathBuf>, UnpackError>) {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("victim"), "safe").unwrap();
    let jail = outside.path().join("jail");
    fs::create_dir(&jail).unwrap();
    let outcome = unpack(archive(members), &jail, &Limits::default());
    let names: Vec<_> = fs::read_dir(outside.path()).unwrap().collect();
    assert_eq!(names.len(), 2);
    assert_eq!(fs::read_to_string(outside.path().join("victim")).unwrap(), "safe");
    if outcome.is_err() {
        assert_eq!(fs::read_dir(&jail).unwrap().count(), 0, "something is left behind");
    }
    (outside, outcome)
}

use EntryType as T;

#[test]
fn what_leads_out_is_refused() {
    let long = "a/".repeat(40);
    let attacks: &[&[Member<'_>]] = &[
        &[Member(T::Regular, "../victim", "bad")],
        &[Member(T::Regular, "a/../../victim", "bad")],
        &[Member(T::Regular, "/tmp/shacache-victim", "bad")],
        &[Member(T::Symlink, "a", ".."), Member(T::Regular, "a/victim", "bad")],
        &[Member(T::Symlink, "a", ".."), Member(T::Symlink, "a/new", "x")],
        &[Member(T::Symlink, "a", ".."), Member(T::Directory, "a/new", "")],
        &[Member(T::Symlink, "a", "../victim"), Member(T::Regular, "a", "bad")],
        &[Member(T::Link, "a", "../victim")],
        &[Member(T::Link, "a", "/etc/passwd")],
        &[Member(T::Symlink, "b", "../victim"), Member(T::Link, "a", "b")],
        &[Member(T::Fifo, "a", "")],
        &[Member(T::Char, "a", "")],
        &[Member(T::Block, "a", "")],
        &[Member(T::GNUSparse, "a", "")],
        &[Member(T::Regular, "a", "1"), Member(T::Regular, "a", "2")],
        &[Member(T::Regular, "a", "1"), Member(T::Regular, "a/b", "2")],
        &[Member(T::Symlink, "a", ""), Member(T::Regular, &long, "")],
    ];
    for attack in attacks {
        let names: Vec<_> = attack.iter().map(|Member(kind, path, _)| (kind, path)).collect();
        assert!(attempt(attack).1.is_err(), "{names:?}");
    }
}

#[test]
fn links_inside_and_elsewhere_are_kept_and_set_id_bits_are_not() {
    let (place, outcome) = attempt(&[
        Member(T::Directory, "t/", ""),
        Member(T::Regular, "./t/f", "x"),
        Member(T::Link, "t/hard", "t/f"),
        Member(T::Symlink, "t/abs", "/opt/slapgrid/x"),
        Member(T::Symlink, "t/up", "../../elsewhere"),
    ]);
    assert_eq!(outcome.unwrap(), [PathBuf::from("t")]);
    let tree = place.path().join("jail/t");
    let file = fs::metadata(tree.join("f")).unwrap();
    assert_eq!(file.permissions().mode() & 0o7777, 0o755);
    assert_eq!(rustix::fs::stat(tree.join("hard")).unwrap().st_nlink, 2);
    assert_eq!(fs::read_link(tree.join("abs")).unwrap(), Path::new("/opt/slapgrid/x"));
    assert_eq!(fs::read_link(tree.join("up")).unwrap(), Path::new("../../elsewhere"));
    let modified = |name| fs::symlink_metadata(tree.join(name)).unwrap().modified().unwrap();
    let expected = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    assert_eq!([modified("f"), modified("abs"), modified("")], [expected; 3]);
}

#[test]
fn nothing_is_replaced() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("a"), "mine").unwrap();
    let outcome =
        unpack(archive(&[Member(T::Regular, "a", "bad")]), place.path(), &Limits::default());
    assert!(matches!(outcome, Err(UnpackError::Place { .. })));
    assert_eq!(fs::read_to_string(place.path().join("a")).unwrap(), "mine");
}

#[test]
fn a_name_that_is_taken_keeps_all_others_away() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("b"), "mine").unwrap();
    let two = archive(&[Member(T::Regular, "a", "new"), Member(T::Regular, "b", "new")]);
    let outcome = unpack(two, place.path(), &Limits::default());
    assert!(matches!(outcome, Err(UnpackError::Place { .. })));
    let left: Vec<_> =
        fs::read_dir(place.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left, ["b"]);
}

#[test]
fn nothing_is_made_beside_the_name_asked_for() {
    let release = [
        Member(T::Directory, "./", ""),
        Member(T::Directory, "./a/", ""),
        Member(T::Regular, "a/f", "x"),
    ];
    for more in [
        None,
        Some(Member(T::Regular, "b", "x")),
        Some(Member(T::Directory, "a-", "")),
        Some(Member(T::Symlink, "b", "a")),
        Some(Member(T::Link, "b", "a/f")),
    ] {
        let place = tempfile::tempdir().unwrap();
        let members: Vec<_> = release.iter().chain(&more).copied().collect();
        let outcome =
            unpack_only(archive(&members), place.path(), OsStr::new("a"), &Limits::default());
        let count = fs::read_dir(place.path()).unwrap().count();
        match more {
            None => assert!(outcome.is_ok() && count == 1, "{outcome:?}"),
            Some(_) => {
                assert!(matches!(outcome, Err(UnpackError::Foreign { .. })), "{outcome:?}");
                assert_eq!(count, 0);
            }
        }
    }
}

#[test]
fn limits_trip() {
    let place = tempfile::tempdir().unwrap();
    let two = || archive(&[Member(T::Regular, "a", "xx"), Member(T::Regular, "b", "xx")]);
    let with = |limits: Limits| unpack(two(), place.path(), &limits).unwrap_err().to_string();
    let limits = Limits::default();
    assert_eq!(with(Limits { entries: 1, ..limits }), "more than 1 files");
    assert_eq!(with(Limits { file_bytes: 1, ..limits }), "a is too long");
    assert_eq!(with(Limits { total_bytes: 600, ..limits }), "the archive cannot be read");
}

#[test]
fn a_bomb_is_stopped_early() {
    let mut gzip = GzEncoder::new(tempfile::tempfile().unwrap(), Compression::best());
    let mut header = Header::new_gnu();
    header.set_path("zeros").unwrap();
    header.set_size(1 << 30);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_cksum();
    gzip.write_all(header.as_bytes()).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..160 {
        gzip.write_all(&zeros).unwrap();
    }
    let mut file = gzip.finish().unwrap();
    file.rewind().unwrap();
    let place = tempfile::tempdir().unwrap();
    let error = unpack(file, place.path(), &Limits::default()).unwrap_err();
    let UnpackError::Broken(cause) = error else { panic!("{error}") };
    assert_eq!(cause.to_string(), "it unpacks to far more than its size");
}

#[test]
fn a_tree_round_trips() {
    let place = tempfile::tempdir().unwrap();
    let tree = place.path().join("tree");
    fs::create_dir_all(tree.join("bin")).unwrap();
    fs::write(tree.join("bin/é run"), "x".repeat(100_000)).unwrap();
    let long = "long".repeat(50);
    fs::write(tree.join(&long), "").unwrap();
    fs::set_permissions(tree.join("bin/é run"), PermissionsExt::from_mode(0o555)).unwrap();
    symlink("/opt/elsewhere", tree.join("abs")).unwrap();
    symlink("bin", tree.join("rel")).unwrap();
    fs::set_permissions(tree.join("bin"), PermissionsExt::from_mode(0o555)).unwrap();
    let out = tempfile::tempdir().unwrap();
    unpack(pack(&tree).unwrap(), out.path(), &Limits::default()).unwrap();
    let copy = out.path().join("tree");
    assert_eq!(fs::read(copy.join("bin/é run")).unwrap().len(), 100_000);
    assert!(copy.join(&long).is_file());
    assert_eq!(fs::read_link(copy.join("abs")).unwrap(), Path::new("/opt/elsewhere"));
    assert_eq!(fs::read_link(copy.join("rel")).unwrap(), Path::new("bin"));
    let mode = |path| fs::metadata(copy.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!([mode("bin"), mode("bin/é run")], [0o555; 2]);
}
