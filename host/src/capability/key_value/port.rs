//! What the key-value capability asks of the world outside: a store of one label, already bound to its owner.
//!
//! Whether a guest may use a label is decided before a store is reached; a store knows nothing of guests. Every
//! adapter keeps the same promises: operations are atomic and durable once they return, a read sees every write
//! that returned before it, keys are ordered by their bytes, and what is too big is refused before it is stored.

use crate::capability::NoRoom;
use futures::future::BoxFuture;
use std::time::Duration;

/// The longest key, in bytes. Spin's own stores take 255; a longer key is no reason to fail here.
pub const MAX_KEY_BYTES: usize = 1024;

/// The most keys that one batch operation takes, and that one page of keys holds.
pub const MAX_BATCH: usize = 1000;

/// A key-value store: one data label of one service, or of the whole app.
///
/// Dropping a returned future gives the operation up: it has then either happened whole or not at all.
pub trait KeyValueStore: Send + Sync {
    /// The value of `key`, or `None` where there is none.
    fn get(&self, key: String) -> BoxFuture<'_, Result<Option<Vec<u8>>, KeyValueError>>;

    /// Sets the value of `key`, whether or not it had one.
    fn set(&self, key: String, value: Vec<u8>) -> BoxFuture<'_, Result<(), KeyValueError>>;

    /// Removes `key`; that there is none is no error.
    fn delete(&self, key: String) -> BoxFuture<'_, Result<(), KeyValueError>>;

    /// Whether `key` has a value.
    fn exists(&self, key: String) -> BoxFuture<'_, Result<bool, KeyValueError>>;

    /// At most `limit` keys (at least 1, at most [`MAX_BATCH`], whatever is asked) that come after `cursor` in the
    /// order of their bytes; `None` starts at the first. A key that is there during the whole walk is seen once.
    fn keys_after(
        &self,
        cursor: Option<String>,
        limit: usize,
    ) -> BoxFuture<'_, Result<KeyPage, KeyValueError>>;

    /// Adds `delta` to the number in `key` and returns the sum; a missing key counts as 0.
    ///
    /// The number is kept as decimal text, as Redis keeps it, so that `get` reads it on every adapter. A value that
    /// is no such number, or a sum beyond an `i64`, is an error and changes nothing.
    fn increment(&self, key: String, delta: i64) -> BoxFuture<'_, Result<i64, KeyValueError>>;

    /// Sets `key` to `value` if its value is still `expected` (`None`: if it has none).
    fn compare_and_swap(
        &self,
        key: String,
        expected: Option<Vec<u8>>,
        value: Vec<u8>,
    ) -> BoxFuture<'_, Result<Swap, KeyValueError>>;

    /// The values of `keys` in their order, all from one moment.
    fn get_many(&self, keys: Vec<String>) -> BoxFuture<'_, Result<Vec<Option<Vec<u8>>>, KeyValueError>>;

    /// Sets all of `pairs` or none; of equal keys the last wins.
    fn set_many(&self, pairs: Vec<(String, Vec<u8>)>) -> BoxFuture<'_, Result<(), KeyValueError>>;

    /// Removes all of `keys`; keys that are not there are skipped.
    fn delete_many(&self, keys: Vec<String>) -> BoxFuture<'_, Result<(), KeyValueError>>;
}

/// Some of the keys of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPage {
    /// The keys, in the order of their bytes.
    pub keys: Vec<String>,
    /// The cursor of the next page; `None` when this was the last.
    pub next: Option<String>,
}

/// How a compare-and-swap ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Swap {
    /// The value was as expected and is now the new one.
    Swapped,
    /// The value was another, which is given here, and stays.
    Changed {
        /// What the key holds, if anything.
        current: Option<Vec<u8>>,
    },
}

/// Why an operation of a store failed. The texts are written for the guest: they name no path and no other service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyValueError {
    /// A key is longer than [`MAX_KEY_BYTES`].
    #[error("the key has {bytes} bytes; a key has at most {MAX_KEY_BYTES}")]
    KeyTooLong {
        /// The length of the key.
        bytes: usize,
    },
    /// A value is larger than the store takes.
    #[error("the value has {bytes} bytes; this store takes at most {max_bytes} per value")]
    ValueTooLarge {
        /// The length of the value.
        bytes: usize,
        /// What the store takes.
        max_bytes: usize,
    },
    /// A batch names more keys than [`MAX_BATCH`].
    #[error("the batch has {keys} keys; a batch has at most {MAX_BATCH}: split it")]
    BatchTooLong {
        /// How many keys the batch names.
        keys: usize,
    },
    /// The values of a batch are together larger than one operation may carry.
    #[error("the values of the batch are together larger than {max_bytes} bytes: split it")]
    BatchTooLarge {
        /// What one operation carries.
        max_bytes: usize,
    },
    /// `increment` met a value that is no decimal number.
    #[error("the value of this key is not a decimal number, so it cannot be incremented")]
    NotANumber,
    /// `increment` would leave the range of 64-bit integers.
    #[error("the sum is beyond a 64-bit integer; the value is unchanged")]
    Overflow,
    /// The store has reached its size, or the disk is full. Nothing was written.
    #[error("the store is full: {0}")]
    Full(NoRoom),
    /// The store did not come free in time. Nothing was written.
    #[error("the store was busy for {waited:?}: try again")]
    Busy {
        /// How long the operation waited.
        waited: Duration,
    },
    /// The operation took longer than it may. Nothing was written.
    #[error("the operation took longer than {limit:?} and was stopped: try again, or do less at once")]
    TimedOut {
        /// How long an operation may take.
        limit: Duration,
    },
    /// More work is waiting for the data of this host than it holds in line.
    #[error("too many operations wait for the data of this host: try again later")]
    Overloaded,
    /// The store cannot be read; the host's log says which file and why.
    #[error("the data of this store is damaged; the host's log names the file")]
    Damaged,
    /// The world outside failed in another way: a disk, a permission, a network. The log has the particulars.
    #[error("the store cannot be used: {message}")]
    Unavailable {
        /// What failed, without paths or addresses.
        message: String,
    },
}

#[cfg(test)]
pub(crate) mod contract;
