//! What a denied function answers: a value that is settled beforehand, in the memory layout of the canonical ABI.
//!
//! A `result` is its error. Of the cases of an error, the first of [`CASES`] that can be made is taken, or else the first of
//! all that can; texts say what is not inherited. Anything else is empty: no element, none, zero, false, the empty text. In
//! `wasi:config` a value that is not granted is one that is not there. A value that would need a handle, a stream or a future
//! cannot be made; a function that has to give one traps, except that a function which returns a new resource of its own
//! interface (a constructor) gives one that can do nothing.

use wit_parser::{Int, Resolve, SizeAlign, Type, TypeDefKind, Variant};

use super::kind;

/// Cases that mean a denial, best first: of WASI, of key-value and SQLite; of variables; of MQTT and SQL servers; of Redis; of
/// models.
const CASES: [&str; 12] = [
    "access-denied",
    "HTTP-request-denied",
    "access",
    "not-permitted",
    "permission-denied",
    "undefined",
    "connection-failed",
    "invalid-address",
    "model-not-supported",
    "not-supported",
    "other",
    "internal-error",
];

/// Elements of a list of fixed length that are written out.
const MAX_FIXED_ELEMENTS: u32 = 1024;

/// The size of one value, and of all values, in bytes. What is larger is not made.
const MAX_VALUE_BYTES: usize = 64 * 1024;
const MAX_BYTES: usize = 1024 * 1024;

/// How deep types may be within each other.
const MAX_DEPTH: u32 = 100;

/// Where the constants begin: at no address that could be taken for null, and aligned for everything.
pub(super) const BASE: usize = 16;

/// What a `result` of an interface becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Its error.
    Refused,
    /// Its success, empty.
    Absent,
}

/// The constants of a denial, and the means to write them.
pub(super) struct Constants<'a> {
    resolve: &'a Resolve,
    sizes: SizeAlign,
    bytes: Vec<u8>,
}

/// How a value is to be made.
#[derive(Clone, Copy)]
struct Style<'a> {
    manner: Manner,
    /// What texts within errors say.
    text: &'a str,
    in_error: bool,
    depth: u32,
}

impl<'a> Constants<'a> {
    pub(super) fn new(resolve: &'a Resolve) -> Self {
        let mut sizes = SizeAlign::default();
        sizes.fill(resolve);
        Self {
            resolve,
            sizes,
            bytes: Vec::new(),
        }
    }

    /// Writes the denial of a function that returns `ty` and gives its address, or nothing if there is no such value.
    pub(super) fn write(&mut self, ty: &Type, manner: Manner, text: &str) -> Option<usize> {
        let before = self.bytes.len();
        if self.size(ty) > MAX_VALUE_BYTES || before > MAX_BYTES {
            return None;
        }
        let style = Style {
            manner,
            text,
            in_error: false,
            depth: 0,
        };
        let address = self.reserve(self.size(ty), self.sizes.align(ty).align_wasm32());
        if self.fill(ty, address, style) {
            return Some(address);
        }
        self.bytes.truncate(before);
        None
    }

    /// The scalar of `size` bytes at `address`.
    pub(super) fn scalar(&self, address: usize, size: usize) -> u64 {
        let start = address.saturating_sub(BASE);
        let bytes = self.bytes.get(start..).unwrap_or_default();
        bytes
            .iter()
            .take(size.min(8))
            .rev()
            .fold(0, |value, byte| (value << 8) | u64::from(*byte))
    }

    /// The size of a value in memory, in bytes.
    pub(super) fn size(&self, ty: &Type) -> usize {
        self.sizes.size(ty).size_wasm32()
    }

    /// All constants, which belong at [`BASE`].
    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn reserve(&mut self, size: usize, align: usize) -> usize {
        let start = (BASE + self.bytes.len()).next_multiple_of(align.max(1));
        self.bytes.resize(start - BASE + size, 0);
        start
    }

    fn put(&mut self, address: usize, bytes: &[u8]) {
        let start = address.saturating_sub(BASE);
        if let Some(place) = self.bytes.get_mut(start..start.saturating_add(bytes.len())) {
            place.copy_from_slice(bytes);
        }
    }

    fn put_int(&mut self, address: usize, int: Int, value: usize) {
        let width = match int {
            Int::U8 => 1,
            Int::U16 => 2,
            Int::U32 => 4,
            Int::U64 => 8,
        };
        self.put(address, value.to_le_bytes().get(..width).unwrap_or_default());
    }

    /// Writes a value of type `ty` at `address`, where there are zeros, or says that there is none.
    fn fill(&mut self, ty: &Type, address: usize, style: Style<'_>) -> bool {
        let style = Style {
            depth: style.depth + 1,
            ..style
        };
        if style.depth > MAX_DEPTH {
            return false;
        }
        let id = match ty {
            Type::String => {
                if style.in_error {
                    let text = self.reserve(style.text.len(), 1);
                    self.put(text, style.text.as_bytes());
                    self.put_int(address, Int::U32, text);
                    self.put_int(address + 4, Int::U32, style.text.len());
                }
                return true;
            }
            Type::ErrorContext => return false,
            Type::Id(id) => *id,
            // Zero is a value of every other type.
            _ => return true,
        };
        let resolve = self.resolve;
        match kind(resolve, id) {
            TypeDefKind::Type(ty) => self.fill(ty, address, style),
            TypeDefKind::Record(record) => {
                self.fill_fields(record.fields.iter().map(|field| &field.ty), address, style)
            }
            TypeDefKind::Tuple(tuple) => self.fill_fields(tuple.types.iter(), address, style),
            TypeDefKind::Variant(variant) => self.fill_variant(variant, address, style),
            TypeDefKind::Enum(cases) => {
                let names = cases.cases.iter().map(|case| case.name.as_str());
                let index = order(names, style.in_error).into_iter().next();
                if let Some(index) = index {
                    self.put_int(address, cases.tag(), index);
                }
                index.is_some()
            }
            TypeDefKind::Result(result) => {
                let payloads = [result.ok.as_ref(), result.err.as_ref()];
                let at = self.payload(address, Int::U8, payloads);
                let (tag, payload) = match style.manner {
                    Manner::Refused => (1, result.err.as_ref()),
                    Manner::Absent => (0, result.ok.as_ref()),
                };
                self.put_int(address, Int::U8, tag);
                let in_error = tag == 1;
                payload.is_none_or(|payload| self.fill(payload, at, Style { in_error, ..style }))
            }
            TypeDefKind::FixedLengthList(ty, length) => {
                *length <= MAX_FIXED_ELEMENTS
                    && (0..*length as usize)
                        .all(|index| self.fill(ty, address + index * self.size(ty), style))
            }
            // None, and lists without an element, are all zeros; so are flags of which none is set.
            TypeDefKind::Option(_) | TypeDefKind::List(_) | TypeDefKind::Map(..) | TypeDefKind::Flags(_) => {
                true
            }
            TypeDefKind::Handle(_)
            | TypeDefKind::Future(_)
            | TypeDefKind::Stream(_)
            | TypeDefKind::Resource
            | TypeDefKind::Unknown => false,
        }
    }

    fn fill_fields<'t>(
        &mut self,
        types: impl IntoIterator<Item = &'t Type>,
        address: usize,
        style: Style<'_>,
    ) -> bool {
        let fields = self.sizes.field_offsets(types);
        fields
            .into_iter()
            .all(|(offset, ty)| self.fill(ty, address + offset.size_wasm32(), style))
    }

    fn fill_variant(&mut self, variant: &Variant, address: usize, style: Style<'_>) -> bool {
        let at = self.payload(
            address,
            variant.tag(),
            variant.cases.iter().map(|case| case.ty.as_ref()),
        );
        let names = variant.cases.iter().map(|case| case.name.as_str());
        order(names, style.in_error).into_iter().any(|index| {
            let payload = variant.cases.get(index).and_then(|case| case.ty.as_ref());
            let filled = payload.is_none_or(|payload| self.fill(payload, at, style));
            if filled {
                self.put_int(address, variant.tag(), index);
            }
            filled
        })
    }

    fn payload<'t>(
        &self,
        address: usize,
        tag: Int,
        cases: impl IntoIterator<Item = Option<&'t Type>>,
    ) -> usize {
        address + self.sizes.payload_offset(tag, cases).size_wasm32()
    }
}

/// The cases to try, by index: within an error those of [`CASES`] first, as they stand there; then as they are declared.
fn order<'n>(names: impl Iterator<Item = &'n str>, in_error: bool) -> Vec<usize> {
    let rank = |name: &str| CASES.iter().position(|case| in_error && *case == name);
    let mut cases: Vec<(usize, usize)> = names
        .enumerate()
        .map(|(index, name)| (rank(name).unwrap_or(CASES.len()), index))
        .collect();
    cases.sort_unstable();
    cases.into_iter().map(|(_, index)| index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_that_means_a_denial_comes_first() {
        let names = ["io", "other", "access-denied"];
        assert_eq!(order(names.into_iter(), true), [2, 1, 0]);
        assert_eq!(order(names.into_iter(), false), [0, 1, 2]);
        let names = ["DNS-timeout", "internal-error", "HTTP-request-denied"];
        assert_eq!(order(names.into_iter(), true), [2, 1, 0]);
        assert!(order([].into_iter(), true).is_empty());
    }

    #[test]
    fn a_value_that_is_too_large_is_not_made() {
        let mut resolve = Resolve::default();
        let types = [1000, 70_000, u32::MAX].map(|length| {
            Type::Id(resolve.types.alloc(wit_parser::TypeDef {
                name: None,
                kind: TypeDefKind::FixedLengthList(Type::U64, length),
                owner: wit_parser::TypeOwner::None,
                docs: Default::default(),
                stability: Default::default(),
                span: Default::default(),
                external_id: None,
            }))
        });
        let mut constants = Constants::new(&resolve);
        let written = types.map(|ty| constants.write(&ty, Manner::Absent, ""));
        assert_eq!(written, [Some(BASE), None, None]);
        assert_eq!(constants.finish().len(), 8000);
    }
}
