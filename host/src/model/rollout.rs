//! Values of rollouts: the weight of a candidate, and what holds a client to its choice.

use std::fmt;
use std::num::NonZeroU16;

/// A share of requests, in hundredths of a percent: more than none, less than all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(NonZeroU16);

/// All requests, in hundredths of a percent.
pub const WHOLE: u16 = 10_000;

/// A text is no weight.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no share of requests: write a percentage between 0.01% and 99.99%, such as 10%")]
pub struct WeightError(String);

impl Weight {
    /// Reads `10%`, `10` or `0.5%`.
    ///
    /// # Errors
    /// [`WeightError`] for what is no number, has more than two decimals, or is not between 0 and 100.
    pub fn parse(text: &str) -> Result<Self, WeightError> {
        let wrong = || WeightError(text.to_owned());
        let number = text.trim().strip_suffix('%').unwrap_or(text.trim()).trim_end();
        let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
        let are_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty()
            || whole.len() > 2
            || decimals.len() > 2
            || !are_digits(whole)
            || !are_digits(decimals)
        {
            return Err(wrong());
        }
        if number.ends_with('.') {
            return Err(wrong());
        }
        let whole: u16 = whole.parse().map_err(|_| wrong())?;
        let decimals: u16 = format!("{decimals:0<2}").parse().map_err(|_| wrong())?;
        Self::new(whole * 100 + decimals).ok_or_else(wrong)
    }

    /// So many hundredths of a percent; `None` for none and for all.
    pub fn new(hundredths: u16) -> Option<Self> {
        NonZeroU16::new(hundredths)
            .filter(|hundredths| hundredths.get() < WHOLE)
            .map(Self)
    }

    /// In hundredths of a percent, 1 to 9,999.
    pub fn hundredths(self) -> u16 {
        self.0.get()
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, decimals) = (self.0.get() / 100, self.0.get() % 100);
        match decimals {
            0 => write!(f, "{whole}%"),
            decimals if decimals % 10 == 0 => write!(f, "{whole}.{}%", decimals / 10),
            decimals => write!(f, "{whole}.{decimals:02}%"),
        }
    }
}

/// By what a request is held to the choice between a revision and its candidate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Sticky {
    /// By the address of the client; of an IPv6 address by the first 64 bits.
    #[default]
    Client,
    /// By the value of a header; by the client's address where it is missing or empty.
    Header(http::HeaderName),
    /// By the value of a cookie; by the client's address where it is missing or empty.
    Cookie(String),
}

/// A text does not say what a request is held by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not say what requests are held by: write `client`, `header:NAME` or `cookie:NAME`")]
pub struct StickyError(String);

/// The longest name of a cookie, in bytes.
const MAX_COOKIE_BYTES: usize = 256;

impl Sticky {
    /// Reads `client`, `header:NAME` or `cookie:NAME`.
    ///
    /// # Errors
    /// [`StickyError`] for anything else, also for a name that no header (RFC 9110 §5.1) or cookie (RFC 6265 §4.1.1) can have.
    pub fn parse(text: &str) -> Result<Self, StickyError> {
        let wrong = || StickyError(text.to_owned());
        match text.split_once(':') {
            None if text == "client" => Ok(Self::Client),
            Some(("header", name)) => http::HeaderName::try_from(name)
                .map(Self::Header)
                .map_err(|_| wrong()),
            // A cookie's name is a token, as a header's is, but case counts.
            Some(("cookie", name))
                if name.len() <= MAX_COOKIE_BYTES && http::HeaderName::try_from(name).is_ok() =>
            {
                Ok(Self::Cookie(name.to_owned()))
            }
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Sticky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client => f.write_str("client"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_read_as_people_write_them() {
        for (text, hundredths, shown) in [
            ("10%", 1_000, "10%"),
            ("10", 1_000, "10%"),
            (" 0.5% ", 50, "0.5%"),
            ("0.01%", 1, "0.01%"),
            ("99.99 %", 9_999, "99.99%"),
        ] {
            let weight = Weight::parse(text).unwrap();
            assert_eq!(weight.hundredths(), hundredths, "{text}");
            assert_eq!(weight.to_string(), shown);
        }
        for bad in [
            "", "%", "0%", "0.00", "100%", "-1%", "1.234%", "1.", ".5", "ten", "1e1", "+5", "1%%",
        ] {
            assert!(Weight::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_holds_a_client_is_read_and_shown_alike() {
        for text in ["client", "header:x-user", "cookie:Session"] {
            assert_eq!(Sticky::parse(text).unwrap().to_string(), text);
        }
        for bad in [
            "",
            "clients",
            "header",
            "header:",
            "header:a b",
            "cookie:",
            "cookie:a=b",
            "cookie:a;b",
            "query:x",
        ] {
            assert!(Sticky::parse(bad).is_err(), "{bad}");
        }
    }
}
