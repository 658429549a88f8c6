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
    resources: Vec<Resource>,
}

impl Dispatch {
    /// Adds what `table` has for `place`, below `mount`.
    pub(crate) fn with(mut self, table: Vec<Resource>, place: Place, mount: Mount) -> Self {
        let resources = table.into_iter().filter(|resource| resource.place == place).collect();
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
            let is_there = |resource: &&Resource| resource.paths.iter().any(|it| fits(it, below));
            resources.iter().find(is_there).map(|resource| (mount, resource))
        })
    }
}

/// Whether a path has this form: the same, one segment in place of `{…}`, or anything but nothing in
/// place of `{*…}`.
fn fits(form: &str, path: &str) -> bool {
    let Some((before, name)) = form.split_once('{') else { return form == path };
    path.strip_prefix(before)
        .is_some_and(|rest| !rest.is_empty() && (name.starts_with('*') || !rest.contains('/')))
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
            assert_eq!(fits(form, path), is_fit, "{form} {path}");
        }
    }
}
