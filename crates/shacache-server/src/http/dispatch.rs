//! From a path to what is there: the resources of the route table at the mounts of one host. Must
//! not know what can be done with a resource, nor who may.
//!
//! Ours rather than a router's, which is the dearest part of a small answer: mounts do not overlap
//! and there are few forms of paths, so that whatever fits first is all that fits.

use super::call::Mount;
use super::routes::{Place, Resource};

/// What is found on one host.
#[derive(Debug, Default)]
pub(crate) struct Dispatch(Vec<Mounted>);

/// The resources of a place at one of its mounts.
#[derive(Debug)]
struct Mounted {
    mount: Mount,
    resources: Vec<(Vec<Form>, Resource)>,
}

/// Which paths a resource has.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// This one.
    Exactly(&'static str),
    /// Those that go on with one more segment.
    Segment(&'static str),
    /// Those that go on, however.
    Rest(&'static str),
}

impl Dispatch {
    /// Adds what `table` has for `place`, below `mount`.
    pub(crate) fn with(mut self, table: Vec<Resource>, place: Place, mount: Mount) -> Self {
        let here = table.into_iter().filter(|resource| resource.place == place);
        let forms =
            |resource: &Resource| resource.paths.iter().map(|path| Form::of(path)).collect();
        let resources = here.map(|resource| (forms(&resource), resource)).collect();
        self.0.push(Mounted { mount, resources });
        self
    }

    /// The resource at a path, as it was sent, and the mount that it was found below.
    pub(crate) fn find(&self, path: &str) -> Option<(&Mount, &Resource)> {
        // The asterisk, the authority of a CONNECT.
        if !path.starts_with('/') {
            return None;
        }
        self.0.iter().find_map(|Mounted { mount, resources }| {
            let below = path.strip_prefix(mount.path().as_str())?;
            let is_there = |forms: &[Form]| forms.iter().any(|form| form.fits(below));
            let found = resources.iter().find(|(forms, _)| is_there(forms));
            found.map(|(_, resource)| (mount, resource))
        })
    }
}

impl Form {
    /// As the table spells it: `{…}` stands for a segment, `{*…}` for all that is left.
    fn of(path: &'static str) -> Self {
        match path.split_once('{') {
            None => Self::Exactly(path),
            Some((before, name)) if name.starts_with('*') => Self::Rest(before),
            Some((before, _)) => Self::Segment(before),
        }
    }

    fn fits(self, path: &str) -> bool {
        let rest = |before| path.strip_prefix(before).filter(|rest| !rest.is_empty());
        match self {
            Self::Exactly(form) => path == form,
            Self::Segment(before) => {
                rest(before).is_some_and(|rest| memchr::memchr(b'/', rest.as_bytes()).is_none())
            }
            Self::Rest(before) => rest(before).is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_a_text_a_segment_or_a_rest() {
        for (form, path, is_fit) in [
            ("", "", true),
            ("", "/", false),
            ("/", "/", true),
            ("/", "//", false),
            ("/healthz", "/healthz", true),
            ("/healthz", "/healthz/", false),
            ("/healthz", "/Healthz", false),
            ("/{digest}", "/a", true),
            ("/{digest}", "/", false),
            ("/{digest}", "", false),
            ("/{digest}", "/a/", false),
            ("/{digest}", "/a/b", false),
            ("/{digest}", "//a", false),
            ("/{*key}", "/a", true),
            ("/{*key}", "/a//..", true),
            ("/{*key}", "//", true),
            ("/{*key}", "/", false),
            ("/{*key}", "a", false),
        ] {
            assert_eq!(Form::of(form).fits(path), is_fit, "{form} {path}");
        }
    }
}
