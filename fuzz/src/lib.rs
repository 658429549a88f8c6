//! Fuzz targets, declared where the parsers are: in the tests of the other crates. Owns what a
//! target is: a property of any bytes, a stored corpus that the ordinary tests replay, and a planted
//! mistake that the corpus has to find. Must not know any parser.
//!
//! A corpus lies in `__fuzz__/<target>/corpus` beside the file that declares the target. How to
//! fuzz, and how to add to a corpus, is in `fuzz/README.md`.

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

pub use bolero;

/// Declares a target: `target!(name, property, planted: mistaken_property)`, both of type
/// `fn(&[u8])` and panicking on what must not be.
///
/// It becomes two tests in a module of that name: `fuzz` replays the corpus and adds some random
/// input, or is driven by a fuzzer; `the_corpus_finds_a_planted_mistake` shows that the corpus is
/// there and that the property can fail.
#[macro_export]
macro_rules! target {
    ($name:ident, $property:expr, planted: $mistaken:expr) => {
        mod $name {
            #[allow(
                unused_imports,
                reason = "a property may be spelled with names from outside"
            )]
            use super::*;

            #[test]
            fn fuzz() {
                let property: fn(&[u8]) = $property;
                $crate::bolero::check!(name = stringify!($name))
                    .with_iterations($crate::ITERATIONS)
                    .for_each(move |input: &[u8]| property(input));
            }

            #[test]
            fn the_corpus_finds_a_planted_mistake() {
                let corpus =
                    $crate::Corpus::beside(env!("CARGO_MANIFEST_DIR"), file!(), stringify!($name));
                corpus.accepts($property);
                corpus.refuses($mistaken);
            }
        }
    };
}

/// Inputs tried by an ordinary run of a target, those of its corpus included.
pub const ITERATIONS: usize = 2000;

/// The stored inputs of one target.
#[derive(Debug)]
pub struct Corpus {
    folder: PathBuf,
    inputs: Vec<Vec<u8>>,
}

impl Corpus {
    /// Reads the corpus of a target declared in `file`, as `file!()` tells it.
    ///
    /// # Panics
    /// When there is none, or it has no inputs.
    #[must_use]
    pub fn beside(manifest_folder: &str, file: &str, target: &str) -> Self {
        let mut above = Path::new(manifest_folder).ancestors();
        let file = above.find_map(|folder| Some(folder.join(file)).filter(|file| file.is_file()));
        let file = file.expect("the file was compiled");
        let folder = file.with_file_name("__fuzz__").join(target).join("corpus");
        let files = fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("no corpus in {}: {error}", folder.display()));
        let read = |path: PathBuf| fs::read(path).expect("a file of the corpus");
        let inputs = files.map(|file| read(file.expect("a file").path())).collect::<Vec<_>>();
        assert!(!inputs.is_empty(), "nothing in {}", folder.display());
        Self { folder, inputs }
    }

    /// Holds each input against a property.
    ///
    /// # Panics
    /// When the property does.
    pub fn accepts(&self, property: fn(&[u8])) {
        for input in &self.inputs {
            property(input);
        }
    }

    /// Shows that some input breaks a mistaken property.
    ///
    /// # Panics
    /// When none does: the corpus would not notice such a mistake.
    pub fn refuses(&self, mistaken: fn(&[u8])) {
        let breaks =
            |input: &Vec<u8>| panic::catch_unwind(AssertUnwindSafe(|| mistaken(input))).is_err();
        assert!(self.inputs.iter().any(breaks), "{} misses the mistake", self.folder.display());
    }
}
