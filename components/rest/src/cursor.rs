//! Opaque page cursors: base64url of JSON. A client hands them back as they are.
//!
//! They are not signed: put in only what the client may see and change, and check what comes back.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Problem;

/// The longest cursor that is looked at, in characters.
pub const MAX_LENGTH: usize = 1024;

/// A position as a cursor. `None` if it has no JSON form or would be longer than [`MAX_LENGTH`].
pub fn encode<T: Serialize>(position: &T) -> Option<String> {
    let text = URL_SAFE_NO_PAD.encode(serde_json::to_vec(position).ok()?);
    (text.len() <= MAX_LENGTH).then_some(text)
}

/// The position that a cursor stands for.
///
/// # Errors
/// 400 for anything that [`encode`] did not make for a `T`.
pub fn decode<T: DeserializeOwned>(cursor: &str) -> Result<T, Problem> {
    let garbage = || Problem::bad_request("this cursor did not come from here: start without one");
    if cursor.len() > MAX_LENGTH {
        return Err(garbage());
    }
    let json = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| garbage())?;
    serde_json::from_slice(&json).map_err(|_| garbage())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_went() {
        let position = ("grüner Tee".to_owned(), 7_u64);
        let cursor = encode(&position).unwrap();
        assert!(
            cursor
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)),
            "{cursor}"
        );
        assert_eq!(decode::<(String, u64)>(&cursor).unwrap(), position);
    }

    #[test]
    fn garbage_is_400() {
        let other_shape = encode(&"text").unwrap();
        let long = "A".repeat(MAX_LENGTH + 1);
        for cursor in ["", "!", "eyJ", "bm9wZQ", &other_shape, &long] {
            assert_eq!(
                decode::<(String, u64)>(cursor).unwrap_err().status,
                400,
                "{cursor}"
            );
        }
        assert_eq!(encode(&"x".repeat(MAX_LENGTH)), None);
    }

    proptest::proptest! {
        #[test]
        fn any_position_comes_back_and_any_text_has_an_answer(name in "\\PC{0,40}", id: u64, text in "\\PC*") {
            let cursor = encode(&(&name, id)).unwrap();
            proptest::prop_assert_eq!(decode::<(String, u64)>(&cursor).unwrap(), (name, id));
            let _ = decode::<(String, u64)>(&text);
        }
    }
}
