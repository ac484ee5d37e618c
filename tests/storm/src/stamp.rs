//! The stamp in the bytes of a storm's guest: its condition and the number of its revision. Writing another one over it makes
//! another component, without a compiler. And what a shipped component does not carry is left out: names and debug
//! information, which is most of what a compiler makes.

use anyhow::{Context as _, bail, ensure};

/// What stands before the condition and the number. The guest's side is `tests/fixtures/storm/src/lib.rs`.
const STAMP: &[u8] = b"storm-stamp:";

/// How a component behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    /// As it should.
    Good,
    /// Traps when it is instantiated.
    Traps,
    /// Starts, and does not pass its probe.
    Sick,
}

impl Condition {
    fn text(self) -> &'static str {
        match self {
            Self::Good => "GOOD",
            Self::Traps => "TRAP",
            Self::Sick => "SICK",
        }
    }
}

/// The component with another stamp.
///
/// # Errors
/// For bytes that do not have the stamp exactly once.
pub fn stamped(component: &[u8], condition: Condition, revision: u32) -> anyhow::Result<Vec<u8>> {
    overwritten(component, STAMP, &format!("{}:{revision:016}", condition.text()))
}

/// The component with a text over what stands behind its stamp.
///
/// # Errors
/// For bytes that do not have the stamp exactly once, or too few behind it.
pub fn overwritten(component: &[u8], stamp: &[u8], text: &str) -> anyhow::Result<Vec<u8>> {
    let mut places = component
        .windows(stamp.len())
        .enumerate()
        .filter_map(|(place, bytes)| (bytes == stamp).then_some(place));
    let place = places.next().context("the component has no stamp")?;
    ensure!(places.next().is_none(), "the component has two stamps");
    let mut stamped = component.to_vec();
    let place = place + stamp.len();
    stamped
        .get_mut(place..place + text.len())
        .context("the stamp is cut off")?
        .copy_from_slice(text.as_bytes());
    Ok(stamped)
}

/// The component without names and debug information, in none of its modules.
///
/// # Errors
/// For bytes that are no component.
pub fn stripped(binary: &[u8]) -> anyhow::Result<Vec<u8>> {
    let (head, mut rest) = binary.split_at_checked(8).context("the file is too short")?;
    ensure!(head.starts_with(b"\0asm"), "this is not Wasm");
    let is_component = head.get(6) == Some(&1);
    let mut out = head.to_vec();
    while let Some((&id, tail)) = rest.split_first() {
        let (size, tail) = number(tail)?;
        let (payload, tail) = tail.split_at_checked(size).context("a section is cut off")?;
        rest = tail;
        let nested;
        let payload = match id {
            0 if is_droppable(payload)? => continue,
            // Modules and components within a component.
            1 | 4 if is_component => {
                nested = stripped(payload)?;
                &nested
            }
            _ => payload,
        };
        out.push(id);
        put_number(&mut out, payload.len());
        out.extend_from_slice(payload);
    }
    Ok(out)
}

/// Whether a custom section is for people who look for faults.
fn is_droppable(section: &[u8]) -> anyhow::Result<bool> {
    let (length, rest) = number(section)?;
    let name = rest.get(..length).context("a name is cut off")?;
    Ok(name.starts_with(b".debug") || matches!(name, b"name" | b"component-name" | b"producers"))
}

/// LEB128, unsigned.
fn number(bytes: &[u8]) -> anyhow::Result<(usize, &[u8])> {
    let mut value = 0;
    for (place, byte) in bytes.iter().take(5).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok((value, &bytes[place + 1..]));
        }
    }
    bail!("a number is cut off")
}

fn put_number(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return out.push(byte);
        }
        out.push(byte | 0x80);
    }
}
