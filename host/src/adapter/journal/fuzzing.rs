//! What the fuzz targets need of this module's inside. No part of the API: nothing else uses it, and it may change.

use std::time::SystemTime;

use super::{json, parse, record};
use crate::service::journal::{Entry, Published};

/// What is published, read from the text of its record and written again.
pub fn published(body: &str) -> Option<(Published, String)> {
    let published = Published::from(parse::<record::Published>("what is published", body).ok()?);
    let written = json(&record::Published::from(&published)).ok()?;
    Some((published, written))
}

/// An entry of this time, read from the text of its record and written again.
pub fn entry(body: &str, at: SystemTime) -> Option<(Entry, String)> {
    let entry = parse::<record::Entry>("an entry", body).ok()?.with(1, at, None);
    let written = json(&record::Entry::from(&entry)).ok()?;
    Some((entry, written))
}

/// A time as a record has it, and what is read from that.
pub fn time(micros: i64) -> Option<(SystemTime, i64)> {
    let at = record::from_micros(micros)?;
    Some((at, record::to_micros(at)))
}
