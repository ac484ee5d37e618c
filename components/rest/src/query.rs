//! Query strings, into a struct: unknown, repeated and ill-typed parameters are refused.

use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;

use crate::Problem;

/// Reads the parameters of a request's query. Without a query, `T` is read from nothing.
///
/// # Errors
/// 400 for a parameter that `T` (which must be `deny_unknown_fields`) does not have, one that is given twice, one whose
/// value does not parse, and percent-encoding that is not UTF-8.
pub fn read_query<T: DeserializeOwned>(uri: &http::Uri) -> Result<T, Problem> {
    parse_query(uri.query().unwrap_or_default())
}

/// [`read_query`] of the text after the question mark.
///
/// # Errors
/// As [`read_query`].
pub fn parse_query<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    // The form decoder would replace what is invalid silently.
    if percent_decode_str(query).decode_utf8().is_err() {
        return Err(Problem::bad_request(
            "the query is not UTF-8 once percent-decoded",
        ));
    }
    serde_urlencoded::from_str(query)
        .map_err(|error| Problem::bad_request(format!("the query does not fit: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct List {
        search: Option<String>,
        limit: Option<u32>,
    }

    #[test]
    fn known_parameters_are_decoded() {
        let list: List = read_query(&"/p?search=caf%C3%A9+au%26lait&limit=3".parse().unwrap()).unwrap();
        assert_eq!(
            list,
            List {
                search: Some("café au&lait".to_owned()),
                limit: Some(3)
            }
        );
        assert_eq!(
            read_query::<List>(&"/p".parse().unwrap()).unwrap(),
            List {
                search: None,
                limit: None
            }
        );
    }

    #[test]
    fn what_is_unknown_repeated_or_ill_typed_is_400() {
        for (query, says) in [
            ("limt=3", "unknown field `limt`"),
            ("limit=1&limit=2", "duplicate field `limit`"),
            ("limit=-1", "invalid digit"),
            ("limit=", "empty string"),
            ("search=%ff", "not UTF-8"),
        ] {
            let problem = parse_query::<List>(query).unwrap_err();
            assert_eq!(problem.status, 400, "{query}");
            assert!(problem.detail.contains(says), "{query}: {}", problem.detail);
        }
    }
}
