//! What clients write down: everything that they are about to send, and what was acknowledged. One line each, in a file of its
//! own, in the order in which it happened.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, bail};

/// What a value is, without the value: its length and a hash of it (FNV-1a, 64 bits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Content {
    /// In bytes.
    pub length: usize,
    /// Of all bytes.
    pub hash: u64,
}

impl Content {
    /// That of a value.
    pub fn of(bytes: &[u8]) -> Self {
        let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self {
            length: bytes.len(),
            hash,
        }
    }
}

/// What a write does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The key has this value.
    Set(Content),
    /// The key has no value.
    Delete,
    /// There is one more row in the log of the database.
    Append(Content),
    /// Both, in one transaction: the row and the value.
    Both(Content),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A write is about to be sent.
    Sent {
        /// Different for each write.
        id: u64,
        /// Which store, see [`crate::app::Store::name`].
        store: String,
        /// The key that it is for.
        key: String,
        /// Grows with each write to this key.
        counter: u64,
        /// What it does.
        effect: Effect,
    },
    /// The whole response to a write has come, and said that it is done.
    Acknowledged(u64),
    /// The same, and said that it is not done.
    Refused(u64),
    /// Rows whose id is lower were removed from the log, and that was acknowledged.
    Pruned {
        /// Which store.
        store: String,
        /// The lowest id that stays.
        below: u64,
    },
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent {
                id,
                store,
                key,
                counter,
                effect,
            } => {
                write!(f, "sent {id} {store} {key} {counter} ")?;
                let (word, content) = match effect {
                    Effect::Set(content) => ("set", content),
                    Effect::Append(content) => ("append", content),
                    Effect::Both(content) => ("both", content),
                    Effect::Delete => return f.write_str("delete"),
                };
                write!(f, "{word} {} {:016x}", content.length, content.hash)
            }
            Self::Acknowledged(id) => write!(f, "acknowledged {id}"),
            Self::Refused(id) => write!(f, "refused {id}"),
            Self::Pruned { store, below } => write!(f, "pruned {store} {below}"),
        }
    }
}

impl FromStr for Record {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> anyhow::Result<Self> {
        let parsed = match line.split(' ').collect::<Vec<_>>()[..] {
            ["acknowledged", id] => Self::Acknowledged(id.parse()?),
            ["refused", id] => Self::Refused(id.parse()?),
            ["pruned", store, below] => Self::Pruned {
                store: store.to_owned(),
                below: below.parse()?,
            },
            ["sent", id, store, key, counter, ref effect @ ..] => Self::Sent {
                id: id.parse()?,
                store: store.to_owned(),
                key: key.to_owned(),
                counter: counter.parse()?,
                effect: match *effect {
                    ["delete"] => Effect::Delete,
                    ["set", length, hash] => Effect::Set(content(length, hash)?),
                    ["append", length, hash] => Effect::Append(content(length, hash)?),
                    ["both", length, hash] => Effect::Both(content(length, hash)?),
                    _ => bail!("no write does that: {line}"),
                },
            },
            _ => bail!("this is no record: {line}"),
        };
        Ok(parsed)
    }
}

fn content(length: &str, hash: &str) -> anyhow::Result<Content> {
    Ok(Content {
        length: length.parse()?,
        hash: u64::from_str_radix(hash, 16)?,
    })
}

/// Takes records, from any thread.
pub struct Recorder {
    path: PathBuf,
    file: Mutex<(BufWriter<File>, io::Result<()>)>,
}

impl Recorder {
    /// Makes the file anew.
    ///
    /// # Errors
    /// Those of the file.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            file: Mutex::new((BufWriter::new(File::create(path)?), Ok(()))),
        })
    }

    /// Writes a record. A file that takes no more is told by [`Self::flush`].
    pub fn write(&self, record: &Record) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, state) = &mut *file;
        if state.is_ok() {
            *state = writeln!(file, "{record}");
        }
    }

    /// From here on everything that was written can be read.
    ///
    /// # Errors
    /// That of the first write that failed.
    pub fn flush(&self) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, state) = &mut *file;
        std::mem::replace(state, Ok(()))?;
        file.flush()
    }

    /// Where it writes.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Reads what has come to a file of records since the last time.
pub struct Follower {
    path: PathBuf,
    place: u64,
}

impl Follower {
    /// From the beginning.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            place: 0,
        }
    }

    /// What is new.
    ///
    /// # Errors
    /// Those of the file, and for a line that is no record.
    pub fn read(&mut self, mut each: impl FnMut(Record)) -> anyhow::Result<()> {
        let mut file = File::open(&self.path).context("the record cannot be read")?;
        file.seek(SeekFrom::Start(self.place))?;
        let mut lines = BufReader::new(file);
        let mut line = String::new();
        loop {
            line.clear();
            let length = lines.read_line(&mut line)?;
            // What is not whole yet is read the next time.
            let Some(text) = line.strip_suffix('\n') else {
                return Ok(());
            };
            self.place += length as u64;
            each(text.parse()?);
        }
    }
}
