//! Who may do what. Must not know HTTP beyond what a request carries to tell who sent it.

/// What has to be granted before a request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    /// Everybody may.
    Nothing,
    /// To get blobs and entries.
    Read,
    /// To store blobs.
    Upload,
    /// To put an entry under the key that the path names.
    Put,
}
