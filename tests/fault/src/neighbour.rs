//! The neighbour, asked on a schedule that no answer can delay.
//!
//! Blocking threads with a connection each take turns, so that no runtime stands between the clock and the wire. A request's
//! time counts from when it was to start: one that waits behind a slow one is slow as well.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use midplane_storm::figures::Times;

use crate::witness::{self, Stillness, Witness};

/// Connections that take turns.
const CONNECTIONS: u32 = 16;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most failures that are told.
const MAX_TOLD: usize = 3;

/// How a neighbour fared.
#[derive(Default)]
pub struct Measurement {
    /// From when each request was to start until its whole answer.
    pub times: Times,
    /// Requests that are not among the times, since the machine stood still meanwhile (see [`witness`](crate::witness)).
    pub set_aside: u64,
    /// Requests without a whole 200.
    pub failed: u64,
    /// Why, for the first few.
    pub failures: Vec<String>,
}

/// What came of the requests of one connection.
#[derive(Default)]
struct Turns {
    /// When each was to start, and when its answer was whole.
    times: Vec<(Instant, Instant)>,
    failed: u64,
    failures: Vec<String>,
}

/// Asks for a path so many times a second until `is_over` is set, and for so long at least.
pub fn measure(
    address: SocketAddr,
    path: &str,
    rate: u32,
    at_least: Duration,
    is_over: &AtomicBool,
) -> Measurement {
    let is_measured = AtomicBool::new(false);
    let step = Duration::from_secs(1) / rate.max(1);
    thread::scope(|scope| {
        let witness = Witness::start(scope, &is_measured);
        let begin = Instant::now();
        let turns: Vec<_> = (0..CONNECTIONS)
            .map(|turn| {
                scope.spawn(move || {
                    witness::precede_others();
                    let mut own = Turns::default();
                    let mut client = Client::new(address, path);
                    for number in (turn..).step_by(CONNECTIONS as usize) {
                        let at = begin + step * number;
                        if at >= begin + at_least && is_over.load(Ordering::Relaxed) {
                            break;
                        }
                        thread::sleep(at.saturating_duration_since(Instant::now()));
                        let answer = client.ask();
                        own.add(at, answer);
                    }
                    own
                })
            })
            .collect();
        let turns: Vec<_> = turns.into_iter().map(|turn| turn.join()).collect();
        is_measured.store(true, Ordering::Relaxed);
        let stillness = witness.map(Witness::end).unwrap_or_default();
        let mut all = Measurement::default();
        for turn in turns {
            match turn {
                Ok(own) => all.add_all(own, &stillness),
                Err(_) => all
                    .failures
                    .push("a thread of the measurement broke down".to_owned()),
            }
        }
        all
    })
}

impl Turns {
    fn add(&mut self, at: Instant, answer: anyhow::Result<()>) {
        self.times.push((at, Instant::now()));
        if let Err(error) = answer {
            self.failed += 1;
            if self.failures.len() < MAX_TOLD {
                self.failures.push(format!("{error:#}"));
            }
        }
    }
}

impl Measurement {
    /// How many requests there were.
    pub fn count(&self) -> u64 {
        self.times.count() + self.set_aside
    }

    /// How many of them are left out of the times, in percent.
    pub fn set_aside_percent(&self) -> f64 {
        100.0 * self.set_aside as f64 / self.count().max(1) as f64
    }

    fn add_all(&mut self, other: Turns, stillness: &Stillness) {
        for (from, to) in other.times {
            match stillness.touches(from, to) {
                true => self.set_aside += 1,
                false => {
                    let micros = to.saturating_duration_since(from).as_micros();
                    self.times.add(u64::try_from(micros).unwrap_or(u64::MAX));
                }
            }
        }
        self.failed += other.failed;
        self.failures.extend(other.failures);
        self.failures.truncate(MAX_TOLD);
    }
}

/// A connection that is made anew when it breaks.
struct Client {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
    request: String,
}

impl Client {
    fn new(address: SocketAddr, path: &str) -> Self {
        Self {
            address,
            stream: None,
            request: format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n"),
        }
    }

    fn ask(&mut self) -> anyhow::Result<()> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect_timeout(&self.address, PATIENCE).context("no connection")?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                BufReader::new(stream)
            }
        };
        stream.get_mut().write_all(self.request.as_bytes())?;
        answer(&mut stream)?;
        self.stream = Some(stream);
        Ok(())
    }
}

/// Reads an answer to its end, which must be a 200 with a body in chunks or of a known length.
fn answer(stream: &mut BufReader<TcpStream>) -> anyhow::Result<()> {
    let mut line = String::new();
    let mut next = |stream: &mut BufReader<TcpStream>| {
        line.clear();
        let bytes = stream.read_line(&mut line).context("no answer")?;
        ensure!(bytes > 0, "the connection was closed");
        Ok(line.trim_end().to_ascii_lowercase())
    };
    let status = next(stream)?;
    let mut length = None;
    loop {
        let header = next(stream)?;
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = Some(value.trim().parse::<usize>()?);
        }
    }
    match length {
        Some(length) => skip(stream, length)?,
        None => loop {
            let size = usize::from_str_radix(&next(stream)?, 16).context("a chunk has a size")?;
            skip(stream, size)?;
            // The end of the chunk, or of the body.
            next(stream)?;
            if size == 0 {
                break;
            }
        },
    }
    if !status.starts_with("http/1.1 200") {
        bail!("it answers {status}");
    }
    Ok(())
}

fn skip(stream: &mut BufReader<TcpStream>, mut bytes: usize) -> anyhow::Result<()> {
    while bytes > 0 {
        let there = stream
            .fill_buf()
            .context("the answer breaks off")?
            .len()
            .min(bytes);
        ensure!(there > 0, "the answer breaks off");
        stream.consume(there);
        bytes -= there;
    }
    Ok(())
}
