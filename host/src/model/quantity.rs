//! Sizes and times as people write them: `64MiB`, `5s`. One number, one unit, nothing between them.

use std::time::Duration;

/// Why a text is no quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// No digit at its start.
    #[error("it does not start with a whole number")]
    Number,
    /// Nothing after the number.
    #[error("it has no unit")]
    NoUnit,
    /// Something else than one of these after the number.
    #[error("its unit is none of {0}")]
    Unit(&'static str),
    /// More than can be counted.
    #[error("it is too large")]
    TooLarge,
}

const BYTE_UNITS: &str = "B, KiB, MiB, GiB, TiB";
const TIME_UNITS: &str = "ms, s, m, h";

/// `64MiB` in bytes.
///
/// # Errors
/// [`QuantityError`] says which part is wrong.
pub fn parse_bytes(text: &str) -> Result<u64, QuantityError> {
    let (number, unit) = split(text)?;
    let shift: u32 = match unit {
        "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return Err(QuantityError::Unit(BYTE_UNITS)),
    };
    number.checked_mul(1 << shift).ok_or(QuantityError::TooLarge)
}

/// `5s`, `250ms`, `2m`, `1h`.
///
/// # Errors
/// [`QuantityError`] says which part is wrong.
pub fn parse_duration(text: &str) -> Result<Duration, QuantityError> {
    let (number, unit) = split(text)?;
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(QuantityError::Unit(TIME_UNITS)),
    };
    let millis = number.checked_mul(millis).ok_or(QuantityError::TooLarge)?;
    Ok(Duration::from_millis(millis))
}

/// Bytes as a person would write them: in the largest unit that leaves a whole number.
pub fn bytes_text(bytes: u64) -> String {
    let units = ["TiB", "GiB", "MiB", "KiB"];
    let shifts = [40, 30, 20, 10];
    let unit = units
        .into_iter()
        .zip(shifts)
        .find(|(_, shift)| bytes != 0 && bytes.trailing_zeros() >= *shift);
    match unit {
        Some((unit, shift)) => format!("{}{unit}", bytes >> shift),
        None => format!("{bytes}B"),
    }
}

fn split(text: &str) -> Result<(u64, &str), QuantityError> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    if digits.is_empty() {
        return Err(QuantityError::Number);
    }
    if unit.is_empty() {
        return Err(QuantityError::NoUnit);
    }
    // Only digits are left, so the one thing that can be wrong is their number.
    let number = digits.parse().map_err(|_| QuantityError::TooLarge)?;
    Ok((number, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_number_and_a_binary_unit() {
        for (text, bytes) in [
            ("0B", 0),
            ("1KiB", 1024),
            ("64MiB", 64 << 20),
            ("2GiB", 2 << 30),
            ("1TiB", 1 << 40),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for (text, error) in [
            ("", QuantityError::Number),
            ("MiB", QuantityError::Number),
            ("-1MiB", QuantityError::Number),
            (" 1MiB", QuantityError::Number),
            ("64", QuantityError::NoUnit),
            ("64MB", QuantityError::Unit(BYTE_UNITS)),
            ("64 MiB", QuantityError::Unit(BYTE_UNITS)),
            ("1.5GiB", QuantityError::Unit(BYTE_UNITS)),
            ("64mib", QuantityError::Unit(BYTE_UNITS)),
            ("99999999999999999999B", QuantityError::TooLarge),
            ("16777216TiB", QuantityError::TooLarge),
        ] {
            assert_eq!(parse_bytes(text), Err(error), "{text}");
        }
    }

    #[test]
    fn bytes_are_written_so_that_they_can_be_read_again() {
        for (bytes, text) in [
            (0, "0B"),
            (1, "1B"),
            (1024, "1KiB"),
            (1025, "1025B"),
            (128 << 20, "128MiB"),
            (1536 << 20, "1536MiB"),
            (4 << 30, "4GiB"),
            (1 << 40, "1TiB"),
        ] {
            assert_eq!(bytes_text(bytes), text);
            assert_eq!(parse_bytes(text), Ok(bytes));
        }
    }

    #[test]
    fn times_have_a_number_and_a_unit() {
        for (text, millis) in [
            ("250ms", 250),
            ("5s", 5_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for (text, error) in [
            ("5", QuantityError::NoUnit),
            ("s", QuantityError::Number),
            ("5 s", QuantityError::Unit(TIME_UNITS)),
            ("1h30m", QuantityError::Unit(TIME_UNITS)),
            ("1d", QuantityError::Unit(TIME_UNITS)),
            ("18446744073709551615h", QuantityError::TooLarge),
        ] {
            assert_eq!(parse_duration(text), Err(error), "{text}");
        }
    }
}
