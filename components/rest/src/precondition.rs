//! Entity tags and conditional requests (RFC 9110, sections 8.8.3 and 13).

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};

use crate::Problem;

/// What `If-Match` or `If-None-Match` asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// The field is absent.
    None,
    /// `*`: whatever is there.
    Any,
    /// One of these tags.
    Tags(Vec<Tag>),
}

/// An entity tag as a client sent it.
#[derive(Debug, Clone, PartialEq)]
pub struct Tag {
    /// Whether it was marked `W/`.
    pub weak: bool,
    /// The text between the quotes.
    pub opaque: String,
}

/// The strong tag of version number `version` of a resource.
pub fn etag(version: u64) -> HeaderValue {
    // Digits and quotes are always a valid field value.
    HeaderValue::from_str(&format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Reads `If-Match`.
///
/// # Errors
/// 400 if it is malformed.
pub fn if_match(headers: &HeaderMap) -> Result<Condition, Problem> {
    read(headers, &IF_MATCH)
}

/// Reads `If-None-Match`.
///
/// # Errors
/// 400 if it is malformed.
pub fn if_none_match(headers: &HeaderMap) -> Result<Condition, Problem> {
    read(headers, &IF_NONE_MATCH)
}

/// Reads an `If-Match` that may not be absent.
///
/// # Errors
/// 428 if it is, 400 if it is malformed.
pub fn required_if_match(headers: &HeaderMap) -> Result<Condition, Problem> {
    match if_match(headers)? {
        Condition::None => Err(Problem::precondition_required(
            "send If-Match with the ETag of the version that this change is based on",
        )),
        condition => Ok(condition),
    }
}

impl Condition {
    /// Whether an `If-Match` holds for an existing resource of this version. Strong comparison: a weak tag never does.
    pub fn allows_change(&self, version: u64) -> bool {
        match self {
            Self::None | Self::Any => true,
            Self::Tags(tags) => tags.iter().any(|tag| !tag.weak && tag.names(version)),
        }
    }

    /// Whether an `If-None-Match` says that the client has this version already. Weak comparison.
    pub fn is_fresh(&self, version: u64) -> bool {
        match self {
            Self::None => false,
            Self::Any => true,
            Self::Tags(tags) => tags.iter().any(|tag| tag.names(version)),
        }
    }
}

impl Tag {
    fn names(&self, version: u64) -> bool {
        self.opaque == version.to_string()
    }
}

fn read(headers: &HeaderMap, name: &HeaderName) -> Result<Condition, Problem> {
    let malformed = || Problem::bad_request(format!("{name} must be * or entity tags like \"7\""));
    let mut tags = Vec::new();
    let mut any = false;
    for value in headers.get_all(name) {
        let mut rest = value.to_str().map_err(|_| malformed())?.trim();
        if rest == "*" {
            any = true;
            continue;
        }
        while !rest.is_empty() {
            let (tag, after) = split_tag(rest).ok_or_else(malformed)?;
            tags.push(tag);
            let after = after.trim_start();
            rest = match after.strip_prefix(',') {
                Some(next) => next.trim_start(),
                None if after.is_empty() => after,
                None => return Err(malformed()),
            };
        }
    }
    match (any, tags.is_empty()) {
        (true, true) => Ok(Condition::Any),
        (true, false) => Err(malformed()),
        (false, true) if headers.contains_key(name) => Err(malformed()),
        (false, true) => Ok(Condition::None),
        (false, false) => Ok(Condition::Tags(tags)),
    }
}

fn split_tag(text: &str) -> Option<(Tag, &str)> {
    let (weak, text) = match text.strip_prefix("W/") {
        Some(text) => (true, text),
        None => (false, text),
    };
    let (opaque, after) = text.strip_prefix('"')?.split_once('"')?;
    Some((
        Tag {
            weak,
            opaque: opaque.to_owned(),
        },
        after,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(values: &[&'static str]) -> Result<Condition, Problem> {
        if_match(
            &values
                .iter()
                .map(|value| (IF_MATCH, HeaderValue::from_static(value)))
                .collect(),
        )
    }

    #[test]
    fn a_change_needs_the_current_strong_tag() {
        let tag = etag(7);
        assert_eq!(tag, "\"7\"");
        assert!(condition(&["\"7\""]).unwrap().allows_change(7));
        assert!(condition(&["\"6\", \"7\""]).unwrap().allows_change(7));
        assert!(condition(&["\"6\"", "\"7\""]).unwrap().allows_change(7));
        assert!(condition(&["*"]).unwrap().allows_change(7));
        assert!(!condition(&["\"6\""]).unwrap().allows_change(7));
        assert!(!condition(&["W/\"7\""]).unwrap().allows_change(7));
        assert!(!condition(&["\"07\""]).unwrap().allows_change(7));
        assert!(condition(&[]).unwrap().allows_change(7));
    }

    #[test]
    fn freshness_compares_weakly() {
        assert!(condition(&["W/\"7\""]).unwrap().is_fresh(7));
        assert!(condition(&["*"]).unwrap().is_fresh(7));
        assert!(!condition(&["\"8\""]).unwrap().is_fresh(7));
        assert!(!condition(&[]).unwrap().is_fresh(7));
    }

    #[test]
    fn an_absent_condition_is_428_where_it_is_required() {
        assert_eq!(required_if_match(&HeaderMap::new()).unwrap_err().status, 428);
    }

    #[test]
    fn malformed_conditions_are_400() {
        for values in [
            &["7"][..],
            &["\"7"],
            &["\"7\" \"8\""],
            &[""],
            &["*", "\"7\""],
            &["w/\"7\""],
        ] {
            assert_eq!(condition(values).unwrap_err().status, 400, "{values:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_list_of_tags_is_read_back(tags in proptest::collection::vec(("[!#-~]{0,9}", proptest::bool::ANY), 1..5)) {
            let text = |(opaque, weak): &(String, bool)| format!("{}\"{opaque}\"", if *weak { "W/" } else { "" });
            let value = tags.iter().map(text).collect::<Vec<_>>().join(", ");
            let headers = HeaderMap::from_iter([(IF_MATCH, HeaderValue::from_str(&value).unwrap())]);
            let expected = tags.into_iter().map(|(opaque, weak)| Tag { weak, opaque }).collect();
            proptest::prop_assert_eq!(if_match(&headers), Ok(Condition::Tags(expected)));
        }

        #[test]
        fn any_value_has_an_answer(value in "[\"W/*, a-z0-9]*") {
            let _ = if_match(&HeaderMap::from_iter([(IF_MATCH, HeaderValue::from_str(&value).unwrap())]));
        }
    }
}
