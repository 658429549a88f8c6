//! Integration tests of the store, one module per matter.

/// Deleting, collecting, holding, and the log of it.
mod administration;
/// What every kind of archive promises, run through each of them.
mod contract;
/// What a damaged or foreign file in the archive does.
mod damage;
/// The files in the archive: names, content, format.
mod format;
/// Opening, closing, locking, and what an unclean stop leaves.
mod lifecycle;
/// An archive copied out while it is in use, and files of other archives taken in.
mod moving;
/// Who signed an entry, and what follows from that.
mod signers;
/// A store in a folder of its own.
mod subject;
/// Blobs without credentials, until somebody vouches for them or their time is over.
mod unclaimed;
/// Checking the archive against itself.
mod verify;
