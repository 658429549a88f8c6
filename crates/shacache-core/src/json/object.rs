//! JSON objects with the semantics of Python's `dict`: members keep the place where their key first
//! appeared and the value it got last. Owns repeated keys; whether they are refused is the reader's
//! decision.

use std::collections::HashMap;

use super::{JsonString, Value};

/// The members of a JSON object, in order, no key twice.
#[derive(Debug, Clone, Default)]
pub struct Object {
    members: Vec<(JsonString, Value)>,
}

impl Object {
    /// An object without members.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.members.iter().find_map(|(name, value)| (name == key).then_some(value))
    }

    /// Whether a key is there.
    #[must_use]
    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Sets the value of a key: in its place if it is there, else at the end. Returns the value it
    /// had.
    pub fn insert(&mut self, key: impl Into<JsonString>, value: impl Into<Value>) -> Option<Value> {
        let (key, value) = (key.into(), value.into());
        if let Some((_, old)) = self.members.iter_mut().find(|(name, _)| *name == key) {
            return Some(std::mem::replace(old, value));
        }
        self.members.push((key, value));
        None
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let at = self.members.iter().position(|(name, _)| name == key)?;
        Some(self.members.remove(at).1)
    }

    /// The members in order.
    pub fn iter(&self) -> impl Iterator<Item = (&JsonString, &Value)> {
        self.members.iter().map(|(key, value)| (key, value))
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The place of the first member whose key stands before it already.
    pub(super) fn first_repeat(members: &[(JsonString, Value)]) -> Option<usize> {
        repeats(members, &sorted_places(members))
            .iter()
            .filter_map(|same| same.get(1).copied())
            .min()
    }
}

impl FromIterator<(JsonString, Value)> for Object {
    /// Members in order; of those with one key the first gives the place and the last the value.
    fn from_iter<I: IntoIterator<Item = (JsonString, Value)>>(members: I) -> Self {
        let mut members: Vec<_> = members.into_iter().collect();
        let places = sorted_places(&members);
        let repeats = repeats(&members, &places);
        if repeats.is_empty() {
            return Self { members };
        }
        let mut dropped = vec![false; members.len()];
        for same in repeats {
            if let [first, rest @ .., last] = same {
                members.swap(*first, *last);
                rest.iter().chain([last]).for_each(|place| dropped[*place] = true);
            }
        }
        let kept = members.into_iter().zip(dropped).filter(|(_, dropped)| !dropped);
        Self { members: kept.map(|(member, _)| member).collect() }
    }
}

impl PartialEq for Object {
    /// Python's `==` of dicts: the same keys, in any order, with equal values.
    fn eq(&self, other: &Self) -> bool {
        if self.len() != other.len() {
            return false;
        }
        let others: HashMap<_, _> = other.iter().collect();
        self.iter()
            .all(|(key, value)| others.get(key).is_some_and(|other| value.equals_inside(other)))
    }
}

/// The places of members in the order of their keys, those of one key in their own order. Sorting
/// keeps this fast for any number of members, without a table of copied keys.
fn sorted_places(members: &[(JsonString, Value)]) -> Vec<usize> {
    let mut places: Vec<_> = (0..members.len()).collect();
    places.sort_by(|a, b| members[*a].0.cmp(&members[*b].0));
    places
}

/// Runs of places that share one key.
fn repeats<'a>(members: &[(JsonString, Value)], places: &'a [usize]) -> Vec<&'a [usize]> {
    let same_key = |a: &usize, b: &usize| members[*a].0 == members[*b].0;
    places.chunk_by(same_key).filter(|same| same.len() > 1).collect()
}
