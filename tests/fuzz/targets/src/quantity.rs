//! Sizes and times as text: they mean what their digits and their unit say, or nothing.

use std::time::Duration;

use midplane::model::quantity::{parse_bytes, parse_duration};

use crate::Target;
use crate::input::text;

pub(crate) const TARGET: Target = Target {
    name: "quantity",
    run: quantity,
    cases: 10_000,
    words: &[
        "1",
        "0",
        "B",
        "KiB",
        "MiB",
        "GiB",
        "TiB",
        "ms",
        "s",
        "m",
        "h",
        "18446744073709551615",
        "+",
        "-",
        ".",
        " ",
        "_",
        "٣",
    ],
};

/// Reads a size and a time.
pub fn quantity(data: &[u8]) -> bool {
    let text = text(data);
    let units = [
        ("B", 1),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
    ];
    let size = by_hand(&text, &units);
    assert_eq!(parse_bytes(&text).ok(), size, "{text:?}");
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
    let time = by_hand(&text, &units).map(Duration::from_millis);
    assert_eq!(parse_duration(&text).ok(), time, "{text:?}");
    size.is_some() || time.is_some()
}

/// The longest unit that the text ends with decides; what stands before it is a number.
fn by_hand(text: &str, units: &[(&str, u128)]) -> Option<u64> {
    let fitting = units
        .iter()
        .filter_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)));
    let (digits, factor) = fitting.min_by_key(|(digits, _)| digits.len())?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_start_matches('0');
    if significant.len() > 20 {
        return None;
    }
    let number: u128 = significant
        .bytes()
        .fold(0, |number, digit| number * 10 + u128::from(digit - b'0'));
    u64::try_from(number).ok()?;
    u64::try_from(number * factor).ok()
}
