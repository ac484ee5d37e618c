//! Amounts of money: whole minor units of one currency. No arithmetic and no conversion, so nothing can be
//! rounded.

use crate::violation::{Gather, Invalid};

/// The largest amount: 10^12 minor units, exact in every JSON reader (below 2^53).
pub const AMOUNT_MAX: u64 = 1_000_000_000_000;

/// A currency code of ISO 4217: three capital letters. Whether the code is in use is not checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// # Errors
    /// A sentence part that says the rule.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.as_bytes() {
            &[a, b, c] if text.bytes().all(|b| b.is_ascii_uppercase()) => Ok(Self([a, b, c])),
            _ => Err("must be an ISO 4217 code of three capital letters, such as EUR".to_owned()),
        }
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        // Made of ASCII letters by `parse`, the only constructor.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// An amount of 0 to [`AMOUNT_MAX`] minor units (cents, for most currencies) and its currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    amount: u64,
    currency: Currency,
}

impl Money {
    /// An amount as it came from outside.
    ///
    /// # Errors
    /// What is wrong with either part, below `/price`.
    pub fn parse(amount: i64, currency: &str) -> Result<Self, Invalid> {
        let mut gather = Gather::default();
        let amount = gather.field("/price/amount", parse_amount(amount));
        let currency = gather.field("/price/currency", Currency::parse(currency));
        let whole = amount
            .zip(currency)
            .map(|(amount, currency)| Self { amount, currency });
        gather.finish(whole)
    }

    /// In minor units.
    pub fn amount(&self) -> u64 {
        self.amount
    }

    /// Its currency.
    pub fn currency(&self) -> Currency {
        self.currency
    }
}

/// An amount of minor units alone, as price filters name it.
///
/// # Errors
/// A sentence part that says the rule.
pub fn parse_amount(amount: i64) -> Result<u64, String> {
    match u64::try_from(amount) {
        Ok(amount) if amount <= AMOUNT_MAX => Ok(amount),
        _ => Err(format!("must be 0 to {AMOUNT_MAX} minor units")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_bounded_on_both_sides() {
        for good in [0, 1, 1_000_000_000_000] {
            assert_eq!(
                i64::try_from(Money::parse(good, "EUR").unwrap().amount()),
                Ok(good)
            );
        }
        for bad in [-1, i64::MIN, 1_000_000_000_001, i64::MAX] {
            let invalid = Money::parse(bad, "EUR").unwrap_err();
            assert_eq!(invalid.violations()[0].pointer, "/price/amount", "{bad}");
        }
    }

    #[test]
    fn a_currency_is_three_capital_letters() {
        assert_eq!(Money::parse(1, "JPY").unwrap().currency().as_str(), "JPY");
        for bad in ["", "EU", "eur", "EURO", "E R", "€", "12A", "ÄÖÜ"] {
            let invalid = Money::parse(1, bad).unwrap_err();
            assert_eq!(invalid.violations()[0].pointer, "/price/currency", "{bad:?}");
        }
    }

    #[test]
    fn both_faults_are_told_at_once() {
        assert_eq!(Money::parse(-1, "x").unwrap_err().violations().len(), 2);
    }
}
