//! HTTP/2, frame by frame.

mod flood;
pub(super) mod frame;
mod head;
mod place;

use crate::harness::TestHost;
use frame::{Client, Outcome};

/// Frames that a client sends after its preface and settings, and what may come of the stream 1 first.
struct Row {
    what: String,
    source: &'static str,
    frames: Vec<u8>,
    want: &'static [Want],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    /// An answer with this status.
    Status(u16),
    /// The stream is reset, with any code.
    Reset,
    /// The connection ends, by a `GOAWAY` with this code, or without one if there is no time for it.
    GoAway(u32),
}

/// A malformed request is a stream error (RFC 9113 §8.1.1); what breaks the compression or the framing is one of the
/// connection. Either is as good for the host: no guest sees it.
const MALFORMED: &[Want] = &[Want::Reset, Want::Status(400), Want::GoAway(PROTOCOL_ERROR)];

/// A request that no guest may see, unless the row has another path.
const HEAD: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "http"),
    (":authority", "test"),
    (":path", "/p2/never"),
];

const NO_ERROR: u32 = 0x0;
const PROTOCOL_ERROR: u32 = 0x1;
const FLOW_CONTROL_ERROR: u32 = 0x3;
const STREAM_CLOSED: u32 = 0x5;
const FRAME_SIZE_ERROR: u32 = 0x6;
const COMPRESSION_ERROR: u32 = 0x9;
const ENHANCE_YOUR_CALM: u32 = 0xb;

impl Row {
    fn new(
        what: impl Into<String>,
        source: &'static str,
        frames: impl Into<Vec<u8>>,
        want: &'static [Want],
    ) -> Self {
        Self {
            what: what.into(),
            source,
            frames: frames.into(),
            want,
        }
    }

    async fn replay(&self, host: &TestHost) -> Result<(), String> {
        let mut client = Client::open(host.address).await;
        let outcome = client.outcome(&self.frames, 1).await;
        if fits(self.want, outcome) {
            return Ok(());
        }
        Err(format!(
            "- {} ({}): wanted {:?}, got {outcome:?}",
            self.what, self.source, self.want
        ))
    }
}

fn fits(wanted: &[Want], outcome: Outcome) -> bool {
    wanted.iter().any(|want| match (want, outcome) {
        (Want::Status(wanted), Outcome::Status(status)) => *wanted == status,
        (Want::Reset, Outcome::Reset(_)) => true,
        (Want::GoAway(wanted), Outcome::GoAway(code)) => *wanted == code,
        (Want::GoAway(_), Outcome::Closed) => true,
        _ => false,
    })
}

async fn replay(rows: Vec<Row>) {
    let host = super::guests().await;
    let mut wrong = Vec::new();
    for row in &rows {
        wrong.extend(row.replay(&host).await.err());
    }
    super::assert_all(rows.len(), &wrong);
    super::stop(host).await;
}
