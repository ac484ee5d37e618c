//! A record as bytes: a tag, small fields, then numbers from low to high byte. An exchange has its later times as
//! microseconds since its beginning, rounded up, so that no request looks shorter than it was.

use crate::record::{Ending, Exchange, Outcome, Record, Span, Swap, Track, Way};

/// The size of a record.
pub const BYTES: usize = 40;

const EXCHANGE: u8 = 1;
const SWAP: u8 = 2;
const PHASE: u8 = 3;
const SENT: u8 = 4;

const OUTCOMES: [Outcome; 4] = [
    Outcome::Published,
    Outcome::Refused,
    Outcome::RefusedOtherwise,
    Outcome::Unknown,
];

pub fn encode(record: Record) -> [u8; BYTES] {
    let mut out = Writer([0; BYTES], 0);
    match record {
        Record::Exchange(exchange) => {
            let (ending, revision, also) = match exchange.ending {
                Ending::Whole { revision, also } => (0, revision, also),
                Ending::Status(status) => (1, u32::from(status), 0),
                Ending::Broken => (2, 0, 0),
                Ending::Lost => (3, 0, 0),
            };
            out.put(&[
                EXCHANGE,
                place(&Way::ALL, &exchange.way),
                track(exchange.track),
                ending,
            ]);
            out.put(&exchange.request.to_le_bytes());
            out.put(&exchange.scheduled.to_le_bytes());
            out.put(&exchange.begin.to_le_bytes());
            for time in [exchange.head, exchange.end] {
                out.put(&micros(time.saturating_sub(exchange.begin)).to_le_bytes());
            }
            out.put(&revision.to_le_bytes());
            out.put(&also.to_le_bytes());
        }
        Record::Swap(swap) => {
            let outcome = place(&OUTCOMES, &swap.outcome);
            out.put(&[SWAP, track(swap.track), outcome, u8::from(swap.bad)]);
            out.put(&swap.call.to_le_bytes());
            out.put(&swap.begin.to_le_bytes());
            out.put(&swap.end.to_le_bytes());
            for number in [swap.revision, swap.prepare, swap.publish, swap.sync] {
                out.put(&number.to_le_bytes());
            }
        }
        Record::Phase(span) => {
            out.put(&[PHASE, 0, 0, 0]);
            out.put(&span.phase.to_le_bytes());
            out.put(&span.begin.to_le_bytes());
            out.put(&span.end.to_le_bytes());
        }
        Record::Sent(sent) => {
            out.put(&[SENT, 0, 0, 0]);
            out.put(&sent.to_le_bytes());
        }
    }
    out.0
}

pub fn decode(bytes: &[u8; BYTES]) -> Option<Record> {
    let mut from = Reader(bytes);
    let [tag, first, second, third] = from.take()?;
    Some(match tag {
        EXCHANGE => {
            let (way, track) = (
                Way::ALL.get(usize::from(first))?,
                Track::ALL.get(usize::from(second))?,
            );
            let request = from.small()?;
            let (scheduled, begin) = (from.large()?, from.large()?);
            let [head, end] = [from.small()?, from.small()?].map(|micros| begin + u64::from(micros) * 1000);
            let (revision, also) = (from.small()?, from.small()?);
            let ending = match third {
                0 => Ending::Whole { revision, also },
                1 => Ending::Status(u16::try_from(revision).ok()?),
                2 => Ending::Broken,
                3 => Ending::Lost,
                _ => return None,
            };
            Record::Exchange(Exchange {
                request,
                way: *way,
                track: *track,
                scheduled,
                begin,
                head,
                end,
                ending,
            })
        }
        SWAP => Record::Swap(Swap {
            track: *Track::ALL.get(usize::from(first))?,
            outcome: *OUTCOMES.get(usize::from(second))?,
            bad: third != 0,
            call: from.small()?,
            begin: from.large()?,
            end: from.large()?,
            revision: from.small()?,
            prepare: from.small()?,
            publish: from.small()?,
            sync: from.small()?,
        }),
        PHASE => Record::Phase(Span {
            phase: from.small()?,
            begin: from.large()?,
            end: from.large()?,
        }),
        SENT => Record::Sent(from.small()?),
        _ => return None,
    })
}

/// Microseconds, rounded up; more than an hour is an hour and something.
fn micros(nanos: u64) -> u32 {
    u32::try_from(nanos.div_ceil(1000)).unwrap_or(u32::MAX)
}

fn track(track: Track) -> u8 {
    place(&Track::ALL, &track)
}

/// The lists are short, and have every value.
fn place<T: PartialEq>(all: &[T], one: &T) -> u8 {
    all.iter()
        .position(|each| each == one)
        .and_then(|place| u8::try_from(place).ok())
        .unwrap_or(u8::MAX)
}

struct Writer([u8; BYTES], usize);

impl Writer {
    fn put(&mut self, bytes: &[u8]) {
        self.0[self.1..self.1 + bytes.len()].copy_from_slice(bytes);
        self.1 += bytes.len();
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn small(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn large(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}
