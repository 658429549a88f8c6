//! The list of every entry under a key, as a server answers it. Servers that are not ours send
//! such lists, so a bad item is a reason of its own and never spoils the others.

use std::ops::Range;
use std::str::Utf8Error;

use super::{EntryError, SignedEntry};

/// A key's entries as one server lists them: `[[metadata text, signature text], …]`.
///
/// Only where each item begins and ends was looked at. That needs no stack, however deep an item
/// nests, and lets [`Listing::entries`] judge each item as [`SignedEntry::from_body`] does.
#[derive(Debug, Clone)]
pub struct Listing<'a> {
    text: &'a str,
    items: Vec<Range<usize>>,
}

impl<'a> Listing<'a> {
    /// Finds the items of a list of at most `max_bytes`.
    ///
    /// # Errors
    /// When the text as a whole is no JSON list, so that nothing in it can be told apart; and when it
    /// has so many items that most are too short for entries: what is remembered of each would take
    /// more memory than the text.
    pub fn read(bytes: &'a [u8], max_bytes: usize) -> Result<Self, ListingError> {
        if bytes.len() > max_bytes {
            return Err(ListingError::TooLarge { max: max_bytes });
        }
        let text = str::from_utf8(bytes)?;
        Ok(Self { text, items: Splitter { bytes, at: 0 }.items()? })
    }

    /// The entries in the order of the list, each read when it is asked for. The body of an entry
    /// is the item as the server sent it.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = Result<SignedEntry, EntryError>> {
        self.items.iter().map(|item| SignedEntry::from_body(self.text[item.clone()].as_bytes()))
    }

    /// How many items the list has, good or bad.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether the list has no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

/// Why a text is no list of entries.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListingError {
    /// It is longer than the caller allows.
    #[error("the listing has more than {max} bytes")]
    TooLarge {
        /// The most allowed.
        max: usize,
    },
    /// It is no UTF-8.
    #[error("the listing is not UTF-8 text")]
    NotUtf8(#[from] Utf8Error),
    /// It does not start as a list.
    #[error("the listing is not a JSON list")]
    NotAList,
    /// It has an item that is not there, as after a comma too many.
    #[error("the listing has no item at byte {at}")]
    NoItem {
        /// Where it should be.
        at: usize,
    },
    /// Two items run together, or an item has a bracket too many.
    #[error("the listing has neither a comma nor its end at byte {at}")]
    NoComma {
        /// Where it should be.
        at: usize,
    },
    /// It has more items than entries of its length could be.
    #[error("the listing has more items than entries of its length could be")]
    TooMany,
    /// It ends before its last bracket.
    #[error("the listing ends early")]
    Unfinished,
    /// Something follows its last bracket.
    #[error("the listing goes on after its end at byte {at}")]
    ExtraData {
        /// Where it goes on.
        at: usize,
    },
}

struct Splitter<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Splitter<'_> {
    fn items(mut self) -> Result<Vec<Range<usize>>, ListingError> {
        let mut items = Vec::new();
        if self.next_token() != Some(b'[') {
            return Err(ListingError::NotAList);
        }
        self.at += 1;
        if self.next_token() == Some(b']') {
            self.at += 1;
        } else {
            let most = FEW_ITEMS + self.bytes.len() / SHORT_ITEM_BYTES;
            loop {
                items.push(self.item()?);
                if items.len() > most {
                    return Err(ListingError::TooMany);
                }
                let delimiter = self.next_token().ok_or(ListingError::Unfinished)?;
                if delimiter != b',' && delimiter != b']' {
                    return Err(ListingError::NoComma { at: self.at });
                }
                self.at += 1;
                if delimiter == b']' {
                    break;
                }
            }
        }
        match self.next_token() {
            None => Ok(items),
            Some(_) => Err(ListingError::ExtraData { at: self.at }),
        }
    }

    /// Passes one item: a string, something in brackets, or anything up to the next delimiter.
    fn item(&mut self) -> Result<Range<usize>, ListingError> {
        self.next_token();
        let start = self.at;
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b']' | b'}' | b',' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => break,
                b'"' => self.skip_string()?,
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 && matches!(byte, b'"' | b']' | b'}') {
                break;
            }
        }
        if depth > 0 {
            return Err(ListingError::Unfinished);
        }
        if self.at == start {
            return Err(ListingError::NoItem { at: start });
        }
        Ok(start..self.at)
    }

    /// Moves from the opening quote of a string to the closing one.
    fn skip_string(&mut self) -> Result<(), ListingError> {
        loop {
            self.at += 1;
            match self.peek() {
                Some(b'"') => return Ok(()),
                Some(b'\\') => self.at += 1,
                Some(_) => {}
                None => return Err(ListingError::Unfinished),
            }
        }
    }

    /// Passes white space and looks at what follows.
    fn next_token(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
        self.peek()
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }
}

/// How many items a listing may have whatever they are.
const FEW_ITEMS: usize = 1_000;
/// Half of what the digest alone takes in an entry.
const SHORT_ITEM_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::{prop_assert, prop_assert_eq, proptest};

    use super::*;
    use crate::digest::Digest;

    fn entry(file: &str) -> SignedEntry {
        let digest = Digest::of(b"");
        SignedEntry::from_texts(&format!(r#"{{"sha512": "{digest}", "file": "{file}"}}"#), "Zm9v")
            .unwrap()
    }

    /// The bodies of the good items, `None` for the bad ones.
    fn bodies(text: &str) -> Vec<Option<String>> {
        let listing = Listing::read(text.as_bytes(), usize::MAX).unwrap();
        listing.entries().map(|entry| Some(entry.ok()?.body().into())).collect()
    }

    fn refusal(text: &str) -> ListingError {
        Listing::read(text.as_bytes(), usize::MAX).expect_err("no listing")
    }

    #[test]
    fn entries_come_in_order_with_their_exact_bodies() {
        let (first, second) = (entry("a"), entry("b"));
        let text = format!(" [\n{} ,{}\t]\n", first.body(), second.body());
        assert_eq!(bodies(&text), [Some(first.body().into()), Some(second.body().into())]);
        assert_eq!(bodies(" [ ] "), []);
    }

    #[test]
    fn bad_items_spoil_no_other() {
        let good = entry("good").body().to_owned();
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        let bad = [
            "null",
            "1",
            "\"[\"",
            "[]",
            "[[]]",
            "{\"a\":1,\"a\":2}",
            "[\"{}\", \"\"]",
            "[1 2]",
            "[\"\\x\"]",
            "[}",
            r#"["\"],["]"#,
            r#"["\\", "]"]"#,
            "1e",
            "nonsense",
            &deep,
        ];
        for bad in bad {
            let text = format!("[{bad}, {good}, {bad}]");
            assert_eq!(bodies(&text), [None, Some(good.clone()), None], "{bad:.20}");
        }
        let large = format!("[\"{}\"]", "a".repeat(SignedEntry::MAX_BODY_BYTES));
        assert_eq!(bodies(&format!("[{large},{good}]")), [None, Some(good)]);
    }

    #[test]
    fn what_is_no_list_is_refused_whole() {
        assert_eq!(refusal(""), ListingError::NotAList);
        assert_eq!(refusal("<html>"), ListingError::NotAList);
        assert_eq!(refusal("{}"), ListingError::NotAList);
        assert_eq!(refusal("[[]"), ListingError::Unfinished);
        assert_eq!(refusal("[[1, \"]"), ListingError::Unfinished);
        assert_eq!(refusal("[["), ListingError::Unfinished);
        assert_eq!(refusal("["), ListingError::NoItem { at: 1 });
        assert_eq!(refusal("[[],]"), ListingError::NoItem { at: 4 });
        assert_eq!(refusal("[,[]]"), ListingError::NoItem { at: 1 });
        assert_eq!(refusal("[[] []]"), ListingError::NoComma { at: 4 });
        assert_eq!(refusal("[[]}"), ListingError::NoComma { at: 3 });
        assert_eq!(refusal("[[]] x"), ListingError::ExtraData { at: 5 });
        assert!(matches!(Listing::read(b"[\xff]", 10), Err(ListingError::NotUtf8(_))));
    }

    #[test]
    fn a_flood_of_items_is_no_listing() {
        let few = format!("[{}0]", "0,".repeat(FEW_ITEMS - 1));
        assert_eq!(bodies(&few).len(), FEW_ITEMS);
        assert_eq!(refusal(&format!("[{}0]", "0,".repeat(2 * FEW_ITEMS))), ListingError::TooMany);
        let many = vec![entry("a").body().to_owned(); 3 * FEW_ITEMS].join(",");
        assert_eq!(bodies(&format!("[{many}]")).len(), 3 * FEW_ITEMS);
    }

    #[test]
    fn size_is_limited_by_the_caller() {
        assert!(Listing::read(b"[ ]", 3).is_ok());
        let refused = Listing::read(b"[  ]", 3).expect_err("too large");
        assert_eq!(refused, ListingError::TooLarge { max: 3 });
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_listing_or_refused(bytes in any::<Vec<u8>>(), text in r#"[\[\]{},:"\\a1 ]{0,40}"#) {
            for bytes in [&*bytes, text.as_bytes()] {
                if let Ok(listing) = Listing::read(bytes, bytes.len()) {
                    prop_assert_eq!(listing.entries().len(), listing.len());
                    prop_assert!(listing.entries().all(|entry| entry.is_err()));
                }
            }
        }
    }
}
