//! What a request says besides its body: names in its path, options in its query, who asks.

use std::str::FromStr;

use http::HeaderMap;

use super::problem::Fault;
use crate::model::{AppName, NameError, ServiceName};
use crate::telemetry;

/// Who asks, in their own words.
const ACTOR: &str = "midplane-actor";
/// Who asks, where nobody says.
const NOBODY: &str = "api";
/// The most bytes of who asks.
const MAX_ACTOR_BYTES: usize = 256;

/// The options of a query, each of which may be taken once. What is left was not meant for this request.
#[derive(Default)]
pub(super) struct Query {
    options: Vec<(String, String)>,
}

impl Query {
    pub(super) fn parse(query: Option<&str>) -> Result<Self, Fault> {
        let mut options: Vec<(String, String)> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if options.iter().any(|(known, _)| *known == name) {
                return Err(Fault::invalid(format!(
                    "`{name}` is in the query more than once."
                )));
            }
            options.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self { options })
    }

    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.options.iter().position(|(known, _)| known == name)?;
        Some(self.options.swap_remove(at).1)
    }

    /// An option that is a number, `true` or `false`.
    pub(super) fn value<T: FromStr>(&mut self, name: &str, wanted: &str) -> Result<Option<T>, Fault> {
        let Some(text) = self.take(name) else {
            return Ok(None);
        };
        match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(Fault::invalid(format!("`{name}` in the query must be {wanted}."))),
        }
    }

    /// Refuses what no handler has taken.
    pub(super) fn finish(self) -> Result<(), Fault> {
        match self.options.first() {
            None => Ok(()),
            Some((name, _)) => Err(Fault::invalid(format!(
                "This request has no option `{name}` in its query."
            ))),
        }
    }
}

/// The name of an app from one segment of a path.
pub(super) fn app(segment: &str) -> Result<AppName, Fault> {
    name("app", segment, AppName::parse)
}

/// The name of a service from one segment of a path.
pub(super) fn service(segment: &str) -> Result<ServiceName, Fault> {
    name("service", segment, ServiceName::parse)
}

fn name<T>(what: &str, segment: &str, parse: fn(&str) -> Result<T, NameError>) -> Result<T, Fault> {
    let text = decode(segment).ok_or_else(|| {
        Fault::invalid(format!(
            "The name of the {what} in the path is not percent-encoded UTF-8."
        ))
    })?;
    parse(&text).map_err(|error| Fault::invalid(format!("`{text}` is no name of a {what}: {error}.")))
}

/// Takes `%XX` back (RFC 3986 §2.1).
fn decode(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Who asks, harmless to show.
pub(super) fn actor(headers: &HeaderMap) -> Result<String, Fault> {
    let mut values = headers.get_all(ACTOR).iter();
    let said = match (values.next(), values.next()) {
        (None, _) => return Ok(NOBODY.to_owned()),
        (Some(said), None) if said.len() <= MAX_ACTOR_BYTES => std::str::from_utf8(said.as_bytes()).ok(),
        _ => None,
    };
    match said.map(str::trim) {
        Some("") => Ok(NOBODY.to_owned()),
        Some(said) => Ok(telemetry::harmless(said)),
        None => Err(Fault::invalid(format!(
            "Midplane-Actor is one text of at most {MAX_ACTOR_BYTES} bytes."
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn options_are_taken_once_and_none_is_left_over() {
        let mut query = Query::parse(Some("weight=10%25&tail=5&x=")).unwrap();
        assert_eq!(query.take("weight").as_deref(), Some("10%"));
        assert_eq!(query.take("weight"), None);
        assert_eq!(query.value::<u64>("tail", "a number").unwrap(), Some(5));
        let left = query.finish().unwrap_err().to_string();
        assert!(left.contains("`x`"), "{left}");
        assert!(Query::parse(Some("a=1&a=1")).is_err());
        let mut query = Query::parse(Some("tail=-1")).unwrap();
        let wrong = query
            .value::<u64>("tail", "a number from 0 on")
            .unwrap_err()
            .to_string();
        assert_eq!(wrong, "`tail` in the query must be a number from 0 on.");
        Query::parse(None).unwrap().finish().unwrap();
    }

    #[test]
    fn names_are_percent_decoded_and_checked() {
        assert_eq!(app("my%20shop%2f%C3%A9").unwrap().as_str(), "my shop/é");
        assert_eq!(service("cata%6Cog").unwrap().as_str(), "catalog");
        for bad in ["", "%", "%4", "%zz", "%+1", "%ff", "%0a", "a_b", "a b"] {
            assert!(matches!(service(bad), Err(Fault::Invalid(_))), "{bad:?}");
        }
        assert!(app("%00").is_err());
    }

    #[test]
    fn who_asks_is_bounded_and_harmless() {
        let by = |value: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(ACTOR, HeaderValue::from_bytes(value).unwrap());
            actor(&headers)
        };
        assert_eq!(actor(&HeaderMap::new()).unwrap(), "api");
        assert_eq!(by(b"  ").unwrap(), "api");
        assert_eq!(by("ada (ci) ü".as_bytes()).unwrap(), "ada (ci) ü");
        assert_eq!(
            by("a\u{202e}b\u{9b}31m".as_bytes()).unwrap(),
            "a\\u{202e}b\\u{9b}31m"
        );
        assert!(by(&[b'x'; 256]).is_ok());
        assert!(by(&[b'x'; 257]).is_err());
        assert!(by(b"\xff").is_err());
        let mut twice = HeaderMap::new();
        twice.append(ACTOR, HeaderValue::from_static("a"));
        twice.append(ACTOR, HeaderValue::from_static("b"));
        assert!(actor(&twice).is_err());
    }
}
