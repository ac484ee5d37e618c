//! The access token of a request (RFC 6750, section 2.1: the `Authorization` field and nothing else).

use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::Problem;

/// The token after `Bearer`.
///
/// # Errors
/// 401 without the field, with it twice, with another scheme, and with anything that is no `b64token`.
pub fn token(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Err(Problem::unauthorized(
            "send an access token: Authorization: Bearer …",
        ));
    };
    let malformed = || Problem::invalid_token("Authorization must be the word Bearer and one access token");
    if values.next().is_some() {
        return Err(malformed());
    }
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .ok_or_else(malformed)?;
    let token = token.trim_matches(' ');
    let is_b64token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.bytes().all(is_b64token) {
        Ok(token)
    } else {
        Err(malformed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use http::header::WWW_AUTHENTICATE;

    fn headers(values: &[&'static str]) -> HeaderMap {
        values
            .iter()
            .map(|value| (AUTHORIZATION, HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn the_scheme_is_read_in_any_case() {
        assert_eq!(token(&headers(&["Bearer a.b-c_d"])).unwrap(), "a.b-c_d");
        assert_eq!(token(&headers(&["bearer  abc "])).unwrap(), "abc");
    }

    #[test]
    fn a_request_without_a_token_is_told_the_scheme() {
        let problem = token(&HeaderMap::new()).unwrap_err();
        assert_eq!(problem.status, 401);
        assert_eq!(problem.header(&WWW_AUTHENTICATE).unwrap(), "Bearer");
    }

    #[test]
    fn anything_else_is_401() {
        for values in [
            &["Basic abc"][..],
            &["Bearer"],
            &["Bearer "],
            &["Bearer a b"],
            &["Bearer a\"b"],
            &["Bearer a", "Bearer b"],
        ] {
            let problem = token(&headers(values)).unwrap_err();
            assert_eq!(problem.status, 401, "{values:?}");
            assert_eq!(
                problem.header(&WWW_AUTHENTICATE).unwrap(),
                "Bearer error=\"invalid_token\""
            );
        }
    }
}
