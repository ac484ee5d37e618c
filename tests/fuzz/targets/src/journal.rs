//! Records of the journal: what is read is written as it was, and read as the same again.

use std::time::SystemTime;

use midplane::adapter::journal::fuzzing::{entry, published, time};
use midplane::adapter::journal::{MAX_BY_BYTES, MAX_CAUSE_BYTES};
use midplane::model::Sticky;

use crate::Target;
use crate::input::text;

pub(crate) const TARGET: Target = Target {
    name: "journal",
    run: journal,
    cases: 5_000,
    words: &[
        "null",
        "\"\"",
        "{}",
        "[]",
        "0",
        "10000",
        "65536",
        "-1",
        "1e3",
        "18446744073709551615",
        "\"cookie\":\"a;b\"",
        "\"header\":\"a\"",
        "\"client\"",
        "\"rolled-back\"",
        "\"extra\":1,",
        "\\u0000",
        "a_b",
    ],
};

/// Reads records.
pub fn journal(data: &[u8]) -> bool {
    let text = text(data);
    let mut taken = false;
    if let Some((state, written)) = published(&text) {
        taken = true;
        for canary in &state.canaries {
            let sticky = canary.sticky.to_string();
            assert_eq!(
                Sticky::parse(&sticky).as_ref(),
                Ok(&canary.sticky),
                "no request is held by {sticky}"
            );
        }
        assert_eq!(published(&written), Some((state, written)));
    }
    if let Some((read, written)) = entry(&text, SystemTime::UNIX_EPOCH) {
        taken = true;
        let (again, rewritten) = entry(&written, SystemTime::UNIX_EPOCH).expect("it was written so");
        assert_eq!(written, rewritten);
        assert!(again.by.len() <= MAX_BY_BYTES);
        assert!(
            again
                .cause
                .as_ref()
                .is_none_or(|cause| cause.len() <= MAX_CAUSE_BYTES)
        );
        if read.by.len() <= MAX_BY_BYTES
            && read
                .cause
                .as_ref()
                .is_none_or(|cause| cause.len() <= MAX_CAUSE_BYTES)
        {
            assert_eq!(read, again);
        }
    }
    if let Some(micros) = data.first_chunk().map(|bytes| i64::from_le_bytes(*bytes)) {
        let again = time(micros).map(|(_, again)| again);
        assert!(
            again.is_none_or(|again| again == micros),
            "{micros} became {again:?}"
        );
    }
    taken
}
