//! What a failure comes to: the status of the answer, how loud the log has to be, and at which
//! stage of a request it can happen. Each verdict stands here once; the match from failures to
//! verdicts and the description of the routes are both made of them. Must not know failures.

use http::StatusCode;
use tracing::Level;

/// What a request passes, as far as its failures differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Whatever every request passes.
    Any,
    /// A right is asked for.
    Asked,
    /// A blob or entries are looked up.
    Read,
    /// What is looked up is a blob.
    Blob,
    /// A part of it can be asked for.
    Part,
    /// A body is taken and stored.
    Write,
    /// What is kept is listed or changed.
    Administer,
}

macro_rules! verdicts {
    ($($(#[$doc:meta])* $name:ident: $status:ident, $level:expr, [$($stage:ident),*];)*) => {
        /// How a failure is answered.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Verdict { $($(#[$doc])* $name),* }

        impl Verdict {
            /// Every one there is.
            pub(crate) const ALL: &[Self] = &[$(Self::$name),*];

            pub(crate) fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status),* }
            }

            /// How loud the log has to be: `None` where the access log says enough.
            pub(crate) fn level(self) -> Option<Level> {
                match self { $(Self::$name => $level),* }
            }

            /// Where it can happen to a request that has a route.
            pub(crate) fn stages(self) -> &'static [Stage] {
                match self { $(Self::$name => &[$(Stage::$stage),*]),* }
            }
        }
    };
}

verdicts! {
    /// No route leads there.
    Nowhere: NOT_FOUND, None, [];
    /// The route is not for this method.
    WrongMethod: METHOD_NOT_ALLOWED, None, [];
    /// The request is not one that can be understood.
    Malformed: BAD_REQUEST, None, [Any];
    /// What is asked for is not there.
    Missing: NOT_FOUND, None, [Read];
    /// A weak digest stands for more than one blob.
    Ambiguous: CONFLICT, Some(Level::WARN), [Blob];
    /// What is to be deleted has to stay.
    Kept: CONFLICT, None, [Administer];
    /// A condition of the request does not hold.
    ConditionFailed: PRECONDITION_FAILED, None, [Read];
    /// No such part exists.
    NoSuchPart: RANGE_NOT_SATISFIABLE, None, [Part];
    /// The body is larger than it may be.
    TooLarge: PAYLOAD_TOO_LARGE, None, [Write];
    /// The body comes in a form that is not taken.
    WrongForm: UNSUPPORTED_MEDIA_TYPE, None, [Write];
    /// Who asks may not do this, or this may not be written.
    Forbidden: FORBIDDEN, None, [Asked, Write];
    /// It is not known who asks; credentials may help.
    Unknown: UNAUTHORIZED, None, [Asked];
    /// Too many credentials were wrong.
    TooOften: TOO_MANY_REQUESTS, None, [Asked];
    /// The body did not come in time.
    TooSlow: REQUEST_TIMEOUT, None, [Write];
    /// The disk is full.
    Full: INSUFFICIENT_STORAGE, Some(Level::WARN), [Write];
    /// Not now. Why was logged once, or is no failure.
    Unavailable: SERVICE_UNAVAILABLE, None, [Asked, Read, Write, Administer];
    /// What failed may work on the next try: a full table of files, a failing disk.
    Failing: SERVICE_UNAVAILABLE, Some(Level::ERROR), [Read, Write, Administer];
    /// Something is wrong with the server itself.
    Broken: INTERNAL_SERVER_ERROR, Some(Level::ERROR), [Any];
}
