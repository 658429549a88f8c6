//! The filter language of the command line, `KEY>=VALUE` and its kin: which entries match, in the
//! order of the criteria, with Python's comparisons. Knows nothing of trust.

use std::str::FromStr;

use shacache_core::json::{Object, ReadError, Reader, UnlikeTypes, Value};

/// Criteria that are applied one after the other.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    criteria: Vec<Criterion>,
}

impl Filter {
    /// A filter of these criteria, in this order.
    #[must_use]
    pub fn new(criteria: Vec<Criterion>) -> Self {
        Self { criteria }
    }

    /// Keeps the items whose metadata match, in their order.
    pub fn apply<T>(&self, mut items: Vec<T>, metadata: impl Fn(&T) -> &Object) -> Vec<T> {
        for criterion in &self.criteria {
            items = criterion.apply(items, &metadata);
        }
        items
    }
}

/// One `KEY{==,<=,>=,<,>,<<,>>}VALUE`.
#[derive(Debug, Clone)]
pub struct Criterion {
    key: Box<str>,
    operator: Operator,
    value: Value,
}

impl Criterion {
    fn apply<T>(&self, items: Vec<T>, metadata: impl Fn(&T) -> &Object) -> Vec<T> {
        let mut kept = Vec::new();
        // `<<` and `>>` move the value on to the most extreme one found.
        let mut extreme: Option<Value> = None;
        for item in items {
            let Some(found) = metadata(&item).get(&self.key) else { continue };
            let value = extreme.as_ref().unwrap_or(&self.value);
            let matches = self.matches(found, value);
            if !self.operator.is_extreme() {
                if matches {
                    kept.push(item);
                }
            } else if matches {
                extreme = Some(found.clone());
                kept.clear();
                kept.push(item);
            } else if extreme.as_ref().is_some_and(|extreme| found == extreme) {
                kept.push(item);
            }
        }
        kept
    }

    fn matches(&self, found: &Value, value: &Value) -> bool {
        if self.operator == Operator::Equal {
            return found == value;
        }
        match found.compare(value) {
            Ok(ordering) => ordering.is_some_and(|ordering| match self.operator {
                Operator::Equal => ordering.is_eq(),
                Operator::AtLeast => ordering.is_ge(),
                Operator::AtMost => ordering.is_le(),
                Operator::Greater | Operator::Largest => ordering.is_gt(),
                Operator::Less | Operator::Smallest => ordering.is_lt(),
            }),
            Err(UnlikeTypes { .. }) => {
                let operator = self.operator.symbol();
                tracing::warn!("Comparison failed: {found} {operator} {value} (TypeError)");
                false
            }
        }
    }
}

impl FromStr for Criterion {
    type Err = CriterionError;

    fn from_str(text: &str) -> Result<Self, CriterionError> {
        let (at, operator) =
            Operator::find(text).ok_or_else(|| CriterionError::NoOperator { text: text.into() })?;
        let value = &text[at + operator.symbol().len()..];
        let value = VALUE_READER
            .read(value)
            .map_err(|source| CriterionError::Value { text: value.into(), source })?;
        Ok(Self { key: text[..at].into(), operator, value })
    }
}

/// Why a text is no criterion.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CriterionError {
    /// None of the operators is in it.
    #[error("no == <= >= < > << >> in `{text}`")]
    NoOperator {
        /// The text.
        text: Box<str>,
    },
    /// What follows the operator is no JSON; a string needs its quotes.
    #[error("`{text}` is not JSON (a string needs double quotes): {source}")]
    Value {
        /// What follows the operator.
        text: Box<str>,
        /// Where it goes wrong.
        source: ReadError,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    AtLeast,
    AtMost,
    Greater,
    Less,
    Largest,
    Smallest,
}

impl Operator {
    /// The first operator in a text. Where two start at the same place, the longer one.
    fn find(text: &str) -> Option<(usize, Self)> {
        let starts = text.char_indices().filter(|(_, c)| matches!(c, '<' | '>' | '='));
        starts.into_iter().find_map(|(at, _)| {
            let operator =
                Self::LONGEST_FIRST.into_iter().find(|it| text[at..].starts_with(it.symbol()))?;
            Some((at, operator))
        })
    }

    fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::AtLeast => ">=",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::Less => "<",
            Self::Largest => ">>",
            Self::Smallest => "<<",
        }
    }

    fn is_extreme(self) -> bool {
        matches!(self, Self::Largest | Self::Smallest)
    }

    const LONGEST_FIRST: [Self; 7] = [
        Self::Smallest,
        Self::Largest,
        Self::AtMost,
        Self::AtLeast,
        Self::Equal,
        Self::Less,
        Self::Greater,
    ];
}

const VALUE_READER: Reader = Reader::new().max_depth(u8::MAX);

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(criteria: &[&str]) -> String {
        let items = ["[4,1]", "[4,2,1]", "[5]", "[4,2,1]", "7", "[4,2]"]
            .map(|version| {
                let mut metadata = Object::new();
                metadata.insert("version", VALUE_READER.read(version).unwrap());
                metadata
            })
            .to_vec();
        let criteria = criteria.iter().map(|text| text.parse().unwrap()).collect();
        let kept = Filter::new(criteria).apply(items, |metadata| metadata);
        kept.iter().map(|metadata| metadata.get("version").unwrap().to_string()).collect()
    }

    #[test]
    fn criteria_apply_in_order() {
        assert_eq!(versions(&["version>=[4,2]"]), "[4, 2, 1][5][4, 2, 1][4, 2]");
        assert_eq!(versions(&["version>[4,2]", "version<<[9]"]), "[4, 2, 1][4, 2, 1]");
        assert_eq!(versions(&["version>>[0]"]), "[5]");
        assert_eq!(versions(&["version==7"]), "7");
        assert_eq!(versions(&["other==7"]), "");
    }

    #[test]
    fn the_first_operator_splits() {
        let parsed = |text: &str| {
            let criterion: Criterion = text.parse().unwrap();
            (criterion.key.to_string(), criterion.operator, criterion.value.to_string())
        };
        assert_eq!(parsed("a=b>=1"), ("a=b".into(), Operator::AtLeast, "1".into()));
        assert_eq!(parsed("a<\"x==y\""), ("a".into(), Operator::Less, "\"x==y\"".into()));
        assert_eq!(parsed("a<<Infinity"), ("a".into(), Operator::Smallest, "Infinity".into()));
        assert!("a=1".parse::<Criterion>().is_err());
        assert!("a==x".parse::<Criterion>().is_err());
    }
}
