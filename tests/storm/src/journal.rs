//! The journal of a storm: records of one size, in memory or in a file. It hides how they are encoded.

mod code;

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::record::Record;

/// What a journal file begins with; the last digit is the version of the encoding.
const MAGIC: &[u8; 8] = b"swstorm1";

/// Takes records, from any thread.
pub struct Journal {
    sink: Mutex<Sink>,
    path: Option<PathBuf>,
}

enum Sink {
    Memory(Vec<u8>),
    File(BufWriter<File>, io::Result<()>),
}

impl Journal {
    /// In memory: 40 bytes for each record.
    pub fn in_memory() -> Self {
        Self {
            sink: Mutex::new(Sink::Memory(MAGIC.to_vec())),
            path: None,
        }
    }

    /// In a file, which is made anew.
    ///
    /// # Errors
    /// Those of the file.
    pub fn in_file(path: &Path) -> io::Result<Self> {
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
        file.write_all(MAGIC)?;
        Ok(Self {
            sink: Mutex::new(Sink::File(file, Ok(()))),
            path: Some(path.to_owned()),
        })
    }

    /// Writes a record. A file that takes no more is told by [`Self::records`].
    pub fn write(&self, record: Record) {
        let bytes = code::encode(record);
        match &mut *self.sink.lock().unwrap_or_else(PoisonError::into_inner) {
            Sink::Memory(all) => all.extend_from_slice(&bytes),
            Sink::File(file, state) => {
                if state.is_ok() {
                    *state = file.write_all(&bytes);
                }
            }
        }
    }

    /// Ends the writing and reads everything back, from the beginning at each call.
    ///
    /// # Errors
    /// The first one of writing, and those of reading.
    pub fn records(&self) -> io::Result<Records<Box<dyn Read + '_>>> {
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        match (&mut *sink, &self.path) {
            (Sink::File(file, state), Some(path)) => {
                std::mem::replace(state, Ok(()))?;
                file.flush()?;
                Records::new(Box::new(BufReader::with_capacity(1 << 20, File::open(path)?)))
            }
            (Sink::Memory(all), _) => Records::new(Box::new(io::Cursor::new(all.clone()))),
            (Sink::File(..), None) => Err(io::Error::other("a journal in a file has a path")),
        }
    }
}

/// Opens the journal of a storm that is over.
///
/// # Errors
/// Those of the file, and one for a file that is no journal.
pub fn open(path: &Path) -> io::Result<Records<BufReader<File>>> {
    Records::new(BufReader::with_capacity(1 << 20, File::open(path)?))
}

/// Reads records, until their end or an error.
pub struct Records<R> {
    from: R,
}

impl<R: Read> Records<R> {
    fn new(mut from: R) -> io::Result<Self> {
        let mut magic = [0; MAGIC.len()];
        from.read_exact(&mut magic)?;
        if &magic != MAGIC {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "this is no journal of a swap storm",
            ));
        }
        Ok(Self { from })
    }

    fn read(&mut self) -> io::Result<Option<Record>> {
        let mut bytes = [0; code::BYTES];
        let mut filled = 0;
        while filled < bytes.len() {
            match self.from.read(&mut bytes[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "half a record")),
                Ok(some) => filled += some,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let record = code::decode(&bytes);
        record
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "an unknown record"))
            .map(Some)
    }
}

impl<R: Read> Iterator for Records<R> {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

#[cfg(test)]
mod tests;
