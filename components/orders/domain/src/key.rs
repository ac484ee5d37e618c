//! Idempotency keys (draft-ietf-httpapi-idempotency-key-header): what a buyer calls one attempt to order.

/// Most characters of a key.
pub const KEY_MAX: usize = 64;

/// A key, chosen by the client; it means something together with the buyer only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// # Errors
    /// A sentence part that says the rule: 1 to [`KEY_MAX`] visible ASCII characters.
    pub fn parse(text: &str) -> Result<Self, String> {
        if (1..=KEY_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("must be 1 to {KEY_MAX} visible ASCII characters"))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_1_to_64_visible_characters() {
        let long = "x".repeat(KEY_MAX);
        for good in [
            "a",
            "\"8e03978e-40d5-43dd-bc93-6894a57f9324\"",
            "~!'; --"[..4].trim(),
            &long,
        ] {
            assert_eq!(Key::parse(good).unwrap().as_str(), good);
        }
        let longer = "x".repeat(KEY_MAX + 1);
        for bad in ["", " ", "a b", "a\tb", "é", "a\0", "a\u{7f}", &longer] {
            assert!(Key::parse(bad).is_err(), "{bad:?}");
        }
    }
}
