//! Opening what lies below one folder, by paths that cannot leave it and follow no link: whoever
//! puts a link into the archive leads neither reads nor writes anywhere else. Owns the call and how
//! it is told that a link was in the way.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::error::Fault;

/// A folder, opened once, and where it is.
#[derive(Debug)]
pub(crate) struct Beneath {
    path: PathBuf,
    folder: File,
}

impl Beneath {
    pub(crate) fn open(path: &Path) -> Result<Self, Fault> {
        let folder = File::open(path).map_err(Fault::at("open", path))?;
        Ok(Self { path: path.to_owned(), folder })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn folder(&self) -> &File {
        &self.folder
    }

    /// Opens what is at `path`, which lies below the folder. With `O_NOFOLLOW` and `O_PATH` that may
    /// be a link itself; no link leads there in any case.
    pub(crate) fn get(
        &self,
        path: &Path,
        flags: OFlags,
        extra: ResolveFlags,
    ) -> Result<File, Errno> {
        let relative = match path.strip_prefix(&self.path) {
            Ok(relative) if relative.as_os_str().is_empty() => Path::new("."),
            Ok(relative) => relative,
            Err(_) => return Err(Errno::XDEV),
        };
        let flags = flags | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | extra;
        let opened = rustix::io::retry_on_intr(|| {
            rustix::fs::openat2(&self.folder, relative, flags, Mode::empty(), resolve)
        });
        match opened {
            Ok(file) => Ok(file.into()),
            // A sandbox without openat2: names are digests and encoded keys, so plain openat
            // cannot leave the root either, except through a link that somebody put there.
            Err(Errno::NOSYS | Errno::PERM) => rustix::io::retry_on_intr(|| {
                let flags = flags | OFlags::NOFOLLOW;
                rustix::fs::openat(&self.folder, relative, flags, Mode::empty())
            })
            .map(File::from),
            Err(error) => Err(error),
        }
    }

    /// Opens the folder at `path`.
    pub(crate) fn get_folder(&self, path: &Path) -> Result<File, Errno> {
        self.get(path, OFlags::RDONLY | OFlags::DIRECTORY, ResolveFlags::empty())
    }

    /// What is at `path` itself, link or not, as long as no link leads there.
    pub(crate) fn get_name(&self, path: &Path) -> Result<File, Errno> {
        self.get(path, OFlags::PATH | OFlags::NOFOLLOW, ResolveFlags::empty())
    }

    /// Why `path` could not be opened, and where a link was in the way.
    pub(crate) fn fault(&self, op: &'static str, path: &Path, error: Errno) -> Fault {
        if error == Errno::LOOP
            && let Some(link) = self.first_link(path)
        {
            return Fault::new(op, link, io::Error::other("it is a link, and none is followed"));
        }
        Fault::new(op, path, error)
    }

    fn first_link<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        let below: Vec<&Path> = path.ancestors().take_while(|at| *at != self.path).collect();
        let is_link = |at: &&&Path| fs::symlink_metadata(at).is_ok_and(|found| found.is_symlink());
        below.iter().rev().find(is_link).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_link_leads_anywhere_and_the_first_one_is_named() {
        let elsewhere = tempfile::tempdir().expect("made");
        let folder = tempfile::tempdir().expect("made");
        fs::create_dir_all(elsewhere.path().join("b")).expect("made");
        fs::write(elsewhere.path().join("b/c"), "text").expect("written");
        symlink(elsewhere.path(), folder.path().join("a")).expect("linked");
        let beneath = Beneath::open(folder.path()).expect("opened");
        let path = folder.path().join("a/b/c");
        assert!(path.exists());
        let error = beneath.get(&path, OFlags::RDONLY, ResolveFlags::empty()).expect_err("a link");
        assert_eq!(error, Errno::LOOP);
        let fault = beneath.fault("open", &path, error).to_string();
        let link = folder.path().join("a");
        assert_eq!(fault, format!("open {}: it is a link, and none is followed", link.display()));
        assert!(beneath.get_name(&link).is_ok(), "it can be looked at");
        assert_eq!(beneath.get_folder(&link).err(), Some(Errno::LOOP));
        assert_eq!(beneath.get_folder(&folder.path().join("..")).err(), Some(Errno::XDEV));
        assert!(beneath.get_folder(folder.path()).is_ok());
    }
}
