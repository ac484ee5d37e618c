//! What calls between services hold of their arguments while they wait.
//!
//! A guest's arguments are copied out of its memory before a call is let in, so that no memory limit of any guest counts them.
//! What bounds them: [`MAX_BYTES`] over all calls of the host at once; small calls are not counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wasmtime::component::Val;

/// What all calls together may hold, in bytes.
pub(super) const MAX_BYTES: usize = 512 * 1024 * 1024;
/// A call that holds less is not counted: as many of these as there are places are no load.
const SMALL: usize = 64 * 1024;

/// What calls hold now.
#[derive(Default)]
pub(super) struct Transit(AtomicUsize);

/// The arguments of one call.
pub(super) struct Load {
    transit: Arc<Transit>,
    bytes: usize,
}

impl Transit {
    /// Takes up the arguments of a call. `None` if there are too many bytes under way already.
    pub(super) fn take(self: &Arc<Self>, bytes: usize) -> Option<Option<Load>> {
        if bytes < SMALL {
            return Some(None);
        }
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
            held.checked_add(bytes).filter(|held| *held <= MAX_BYTES)
        });
        taken.ok().map(|_| {
            Some(Load {
                transit: self.clone(),
                bytes,
            })
        })
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.transit.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What a value takes up in the host, in bytes.
pub(super) fn size(value: &Val) -> usize {
    let inside = match value {
        Val::String(text) | Val::Enum(text) => text.len(),
        Val::List(values) | Val::Tuple(values) => sizes(values),
        Val::Record(fields) => fields
            .iter()
            .map(|(name, value)| size_of::<String>() + name.len() + size(value))
            .sum(),
        Val::Variant(name, value) => name.len() + value.as_deref().map_or(0, size),
        Val::Option(value) => value.as_deref().map_or(0, size),
        Val::Result(value) => match value {
            Ok(value) | Err(value) => value.as_deref().map_or(0, size),
        },
        Val::Flags(names) => names.iter().map(|name| size_of::<String>() + name.len()).sum(),
        Val::Map(entries) => entries.iter().map(|(key, value)| size(key) + size(value)).sum(),
        _ => 0,
    };
    size_of::<Val>() + inside
}

/// What values take up in the host, in bytes.
pub(super) fn sizes(values: &[Val]) -> usize {
    values.iter().map(size).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_under_way_than_the_bound_and_what_has_arrived_is_given_back() {
        let transit = Arc::new(Transit::default());
        assert!(matches!(transit.take(100), Some(None)));
        let first = transit.take(MAX_BYTES / 2);
        let second = transit.take(MAX_BYTES / 2);
        assert!(matches!(&first, Some(Some(_))) && matches!(&second, Some(Some(_))));
        assert!(transit.take(SMALL).is_none());
        drop(first);
        assert!(transit.take(SMALL).is_some());
        drop(second);
        assert_eq!(transit.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn each_byte_of_a_nested_list_is_a_value() {
        let bytes = Val::List(vec![Val::U8(0); 1_000]);
        assert_eq!(size(&bytes), 1_001 * size_of::<Val>());
    }
}
