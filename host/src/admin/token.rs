//! The token of the admin API: made at the first start, kept in a file that only its owner can read.
//!
//! Invariants: it never shows itself through `Debug`; it is compared by digest, so that the time says nothing about it.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::model::{Digest, Secret};

/// The fewest bytes of a token: of hexadecimal digits, half as many random bytes.
const MIN_BYTES: usize = 32;
/// The most bytes of a token.
const MAX_BYTES: usize = 256;
/// How many random bytes a new token has.
const RANDOM_BYTES: usize = 32;

/// What a client must know to use the admin API.
#[derive(Clone)]
pub struct Token {
    text: Secret,
    digest: Digest,
}

/// A text is no token. It does not say which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a token has {MIN_BYTES} to {MAX_BYTES} characters: ASCII letters, digits, `-`, `.`, `_`, `~`, `+`, `/`, and `=` at its end"
)]
pub struct TokenError;

impl Token {
    /// Takes `text`, without blanks and line ends around it, for a token (RFC 6750 §2.1).
    ///
    /// # Errors
    /// [`TokenError`] for one that is too short to be safe, too long, or has other characters.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let text = text.trim_ascii();
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
        if !(MIN_BYTES..=MAX_BYTES).contains(&text.len())
            || !text.trim_end_matches('=').bytes().all(is_allowed)
        {
            return Err(TokenError);
        }
        Ok(Self {
            digest: Digest::of(text.as_bytes()),
            text: Secret::new(text),
        })
    }

    /// Reads the token of a host from its file.
    ///
    /// # Errors
    /// When the file cannot be read, is not a file of this user, can be read by others, or holds no token.
    pub fn load(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let refused = |kind, why: String| Err(io::Error::new(kind, format!("{} {why}", path.display())));
        if !metadata.is_file() {
            return refused(io::ErrorKind::InvalidData, "is not a file".into());
        }
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return refused(
                io::ErrorKind::PermissionDenied,
                format!("belongs to another user (id {})", metadata.uid()),
            );
        }
        let mode = metadata.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return refused(
                io::ErrorKind::PermissionDenied,
                format!(
                    "can be read or written by other users (mode {mode:04o}), so it is no secret: delete it, and the next \
                     start makes a new one, or `chmod 600` it if it is a secret still"
                ),
            );
        }
        let mut text = String::new();
        // With room for blanks and line ends around a token that somebody wrote.
        file.take(2 * MAX_BYTES as u64).read_to_string(&mut text)?;
        match Self::parse(&text) {
            Ok(token) => Ok(token),
            Err(error) => refused(io::ErrorKind::InvalidData, format!("holds no token: {error}")),
        }
    }

    /// Reads the token from its file, or makes one of 32 random bytes and the file (mode 0600) if there is none. The directory
    /// must be locked for this process.
    ///
    /// # Errors
    /// As [`Token::load`], or when the file cannot be written.
    pub fn load_or_create(path: &Path) -> io::Result<Self> {
        match Self::load(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            loaded => return loaded,
        }
        let mut random = [0; RANDOM_BYTES];
        File::open("/dev/urandom")?.read_exact(&mut random)?;
        // Bytes are shown as a digest is: two hexadecimal digits each.
        let text = Digest::from_bytes(random).to_string();
        let temporary = path.with_extension("token.tmp");
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        writeln!(file, "{text}")?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        Self::load(path)
    }

    /// The token itself, for the client that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.text.expose()
    }

    /// Whether `given` is the token, in a time that does not depend on how much of it is right.
    #[must_use]
    pub fn is(&self, given: &[u8]) -> bool {
        let given = Digest::of(given);
        let differences = self
            .digest
            .as_bytes()
            .iter()
            .zip(given.as_bytes())
            .fold(0, |all, (own, other)| black_box(all | (own ^ other)));
        differences == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_is_made_once_and_only_its_owner_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.token");
        let made = Token::load_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.trim_end(), made.expose());
        assert_eq!(text.len(), 65);
        assert!(
            text.trim_end()
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        );
        let again = Token::load_or_create(&path).unwrap();
        assert_eq!(again.expose(), made.expose());
        let other = Token::load_or_create(&dir.path().join("other")).unwrap();
        assert_ne!(other.expose(), made.expose());
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            2,
            "nothing else is left"
        );
    }

    #[test]
    fn a_half_made_file_of_a_start_that_was_killed_is_in_nobodys_way() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.token");
        fs::write(path.with_extension("token.tmp"), "half").unwrap();
        let token = Token::load_or_create(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().trim_end(), token.expose());
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.token");
        Token::load_or_create(&path).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o777] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = Token::load_or_create(&path).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
            let text = error.to_string();
            assert!(text.contains(&format!("mode {mode:04o}")), "{text}");
            assert!(text.contains("chmod 600"), "{text}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused_and_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.token");
        for bad in [
            "",
            "\n",
            "hunter2",
            &"x".repeat(31),
            &"x".repeat(257),
            &format!("{} y", "x".repeat(40)),
        ] {
            fs::write(&path, bad).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let error = Token::load_or_create(&path).unwrap_err().to_string();
            assert!(error.contains("holds no token"), "{error}");
            assert!(!error.contains("hunter2") && !error.contains("xxx"), "{error}");
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(Token::load_or_create(&path).is_err());
    }

    #[test]
    fn only_the_whole_token_is_the_token() {
        let text = "0123456789abcdef0123456789ABCDEF";
        let token = Token::parse(&format!(" {text}\n")).unwrap();
        assert_eq!(token.expose(), text);
        assert!(token.is(text.as_bytes()));
        for wrong in ["", "0", &text[1..], &text.to_lowercase(), &format!("{text}0")] {
            assert!(!token.is(wrong.as_bytes()), "{wrong}");
        }
        assert!(Token::parse(&format!("{}==", "a".repeat(32))).is_ok());
        assert!(Token::parse(&format!("a={}", "a".repeat(32))).is_err());
    }

    #[test]
    fn debug_does_not_show_it() {
        let token = Token::parse(&"s".repeat(32)).unwrap();
        let shown = format!("{token:?} {token:#?}");
        assert!(!shown.contains("ss"), "{shown}");
    }
}
