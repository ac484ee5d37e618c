//! What an answer has to look like. Anything else is broken.

use crate::record::Ending;

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// So many revisions on one line.
    Numbers(usize),
    /// So many lines with the revision and the number of the line, and a last one with the revision, `end`, how many
    /// lines there were, and the revision behind the link.
    Download(u64),
    /// The revision, how many bytes were uploaded, and their checksum.
    Upload(Sum),
}

/// Length and checksum of an upload: FNV-1a, 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sum {
    bytes: u64,
    hash: u64,
}

impl Sum {
    /// Of nothing.
    pub const EMPTY: Self = Self {
        bytes: 0,
        hash: 0xcbf2_9ce4_8422_2325,
    };

    /// With another piece.
    pub fn with(self, piece: &[u8]) -> Self {
        let add = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        Self {
            bytes: self.bytes + piece.len() as u64,
            hash: piece.iter().fold(self.hash, add),
        }
    }
}

impl Form {
    /// Reads a whole answer.
    pub fn read(self, body: &[u8]) -> Ending {
        let text = std::str::from_utf8(body).ok();
        let revisions = text.and_then(|text| match self {
            Self::Numbers(count) => numbers(text, count),
            Self::Download(lines) => download(text, lines),
            Self::Upload(sum) => upload(text, sum),
        });
        revisions.map_or(Ending::Broken, |revisions| ending(&revisions))
    }
}

fn ending(revisions: &[u32]) -> Ending {
    let Some(&revision) = revisions.first() else {
        return Ending::Broken;
    };
    let also = revisions.iter().copied().find(|other| *other != revision);
    Ending::Whole {
        revision,
        also: also.unwrap_or(revision),
    }
}

fn numbers(text: &str, count: usize) -> Option<Vec<u32>> {
    let line = text.strip_suffix('\n')?;
    let numbers: Vec<u32> = line
        .split(' ')
        .map(|word| word.parse().ok())
        .collect::<Option<_>>()?;
    (numbers.len() == count).then_some(numbers)
}

fn download(text: &str, lines: u64) -> Option<Vec<u32>> {
    let mut revisions = Vec::new();
    let mut rest = text.strip_suffix('\n')?.split('\n');
    for number in 0..lines {
        let (revision, told) = rest.next()?.split_once(' ')?;
        if told.parse() != Ok(number) {
            return None;
        }
        revisions.push(revision.parse().ok()?);
    }
    let words: Vec<_> = rest.next()?.split(' ').collect();
    let [revision, "end", told, back] = words[..] else {
        return None;
    };
    if told.parse() != Ok(lines) || rest.next().is_some() {
        return None;
    }
    revisions.push(revision.parse().ok()?);
    revisions.push(back.parse().ok()?);
    Some(revisions)
}

fn upload(text: &str, sum: Sum) -> Option<Vec<u32>> {
    let told = format!(" {} {:016x}\n", sum.bytes, sum.hash);
    let revision = text.strip_suffix(&told)?;
    Some(vec![revision.parse().ok()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(revision: u32, also: u32) -> Ending {
        Ending::Whole { revision, also }
    }

    #[test]
    fn numbers_are_one_line_of_just_so_many() {
        assert_eq!(Form::Numbers(1).read(b"7\n"), whole(7, 7));
        assert_eq!(Form::Numbers(3).read(b"7 7 7\n"), whole(7, 7));
        assert_eq!(Form::Numbers(3).read(b"7 7 8\n"), whole(7, 8));
        for broken in ["", "7", "\n", "7 7\n", "7\n7\n", "seven\n", "7 \n", "-1\n"] {
            assert_eq!(
                Form::Numbers(1).read(broken.as_bytes()),
                Ending::Broken,
                "{broken:?}"
            );
        }
    }

    #[test]
    fn a_download_has_every_line_once_and_in_order() {
        let form = Form::Download(2);
        assert_eq!(form.read(b"7 0\n7 1\n7 end 2 7\n"), whole(7, 7));
        assert_eq!(form.read(b"7 0\n8 1\n7 end 2 7\n"), whole(7, 8));
        assert_eq!(form.read(b"7 0\n7 1\n7 end 2 8\n"), whole(7, 8));
        for broken in [
            "7 0\n7 1\n",
            "7 0\n7 end 2 7\n",
            "7 0\n7 1\n7 end 1 7\n",
            "7 1\n7 0\n7 end 2 7\n",
            "7 0\n7 1\n7 end 2 7\n7 end 2 7\n",
            "7 0\n7 1\n7 end 2 7",
        ] {
            assert_eq!(form.read(broken.as_bytes()), Ending::Broken, "{broken:?}");
        }
    }

    #[test]
    fn an_upload_came_with_its_length_and_checksum() {
        // The checksum of `foobar` is from the authors of FNV.
        let sum = Sum::EMPTY.with(b"foo").with(b"bar");
        let form = Form::Upload(sum);
        assert_eq!(form.read(b"7 6 85944171f73967e8\n"), whole(7, 7));
        assert_eq!(form.read(b"7 5 85944171f73967e8\n"), Ending::Broken);
        assert_eq!(form.read(b"7 6 85944171f73967e9\n"), Ending::Broken);
        assert_eq!(form.read(b"6 85944171f73967e8\n"), Ending::Broken);
    }
}
