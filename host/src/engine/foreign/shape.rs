//! The shapes of functions that pass as Rust types: no, one or two parameters, and the results in [`Results`].
//!
//! Each pair of shapes is compiled on its own, so there are only those that contracts mostly have, and those for which a tree
//! of values would cost most: whatever moves bytes.

use wasmtime::component::types::{ComponentFunc, Type};
use wasmtime::component::{ComponentNamedList, Lift, Lower};

use super::{Definition, result_type};

type Bytes = Vec<u8>;

/// A type that passes as itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaf {
    U32,
    U64,
    Text,
    Bytes,
}

impl Leaf {
    fn of(ty: &Type) -> Option<Self> {
        match ty {
            Type::U32 => Some(Self::U32),
            Type::U64 => Some(Self::U64),
            Type::String => Some(Self::Text),
            Type::List(list) if matches!(list.ty(), Type::U8) => Some(Self::Bytes),
            _ => None,
        }
    }
}

/// The parameters of a function.
#[derive(Debug, Clone, Copy)]
pub(super) enum Params {
    None,
    U32,
    U64,
    Text,
    Bytes,
    TextText,
    TextBytes,
}

impl Params {
    /// The parameters of `ty`, if they are of a shape that passes as Rust types.
    pub(super) fn of(ty: &ComponentFunc) -> Option<Self> {
        let leaves: Option<Vec<Leaf>> = ty.params().map(|(_, ty)| Leaf::of(&ty)).collect();
        match leaves?.as_slice() {
            [] => Some(Self::None),
            [Leaf::U32] => Some(Self::U32),
            [Leaf::U64] => Some(Self::U64),
            [Leaf::Text] => Some(Self::Text),
            [Leaf::Bytes] => Some(Self::Bytes),
            [Leaf::Text, Leaf::Text] => Some(Self::TextText),
            [Leaf::Text, Leaf::Bytes] => Some(Self::TextBytes),
            _ => None,
        }
    }
}

/// The result of a function. A `result` is one whose error is a string.
#[derive(Debug, Clone, Copy)]
pub(super) enum Results {
    None,
    U32,
    U64,
    Text,
    Bytes,
    OptionText,
    OptionBytes,
    ResultNone,
    ResultText,
    ResultBytes,
}

impl Results {
    /// The result of `ty`, if it is of a shape that passes as Rust types.
    pub(super) fn of(ty: &ComponentFunc) -> Option<Self> {
        let Some(ty) = result_type(ty) else {
            return Some(Self::None);
        };
        if let Some(leaf) = Leaf::of(&ty) {
            return Some(match leaf {
                Leaf::U32 => Self::U32,
                Leaf::U64 => Self::U64,
                Leaf::Text => Self::Text,
                Leaf::Bytes => Self::Bytes,
            });
        }
        match ty {
            Type::Option(option) => match Leaf::of(&option.ty())? {
                Leaf::Text => Some(Self::OptionText),
                Leaf::Bytes => Some(Self::OptionBytes),
                Leaf::U32 | Leaf::U64 => None,
            },
            Type::Result(result) if matches!(result.err(), Some(Type::String)) => {
                match result.ok().map(|ok| Leaf::of(&ok)) {
                    None => Some(Self::ResultNone),
                    Some(Some(Leaf::Text)) => Some(Self::ResultText),
                    Some(Some(Leaf::Bytes)) => Some(Self::ResultBytes),
                    Some(_) => None,
                }
            }
            _ => None,
        }
    }
}

/// Parameters whose size is known.
pub(super) trait Arguments {
    /// What they take up in the host, in bytes.
    fn bytes(&self) -> usize;
}

impl Arguments for () {
    fn bytes(&self) -> usize {
        0
    }
}

impl Arguments for (u32,) {
    fn bytes(&self) -> usize {
        0
    }
}

impl Arguments for (u64,) {
    fn bytes(&self) -> usize {
        0
    }
}

impl Arguments for (String,) {
    fn bytes(&self) -> usize {
        self.0.len()
    }
}

impl Arguments for (Bytes,) {
    fn bytes(&self) -> usize {
        self.0.len()
    }
}

impl Arguments for (String, String) {
    fn bytes(&self) -> usize {
        self.0.len() + self.1.len()
    }
}

impl Arguments for (String, Bytes) {
    fn bytes(&self) -> usize {
        self.0.len() + self.1.len()
    }
}

/// Results that may have room for a failure.
pub(super) trait Answer: Sized {
    /// The results that tell of a failure.
    fn carry(text: impl FnOnce() -> String) -> Option<Self>;
}

macro_rules! cannot_carry {
    ($($results:ty),+) => {
        $(impl Answer for $results {
            fn carry(_: impl FnOnce() -> String) -> Option<Self> {
                None
            }
        })+
    };
}

cannot_carry!(
    (),
    (u32,),
    (u64,),
    (String,),
    (Bytes,),
    (Option<String>,),
    (Option<Bytes>,)
);

impl<T> Answer for (Result<T, String>,) {
    fn carry(text: impl FnOnce() -> String) -> Option<Self> {
        Some((Err(text()),))
    }
}

/// Defines a function of these shapes.
pub(super) fn define(
    definition: Definition<'_, '_>,
    params: Params,
    results: Results,
) -> wasmtime::Result<()> {
    match params {
        Params::None => with::<()>(definition, results),
        Params::U32 => with::<(u32,)>(definition, results),
        Params::U64 => with::<(u64,)>(definition, results),
        Params::Text => with::<(String,)>(definition, results),
        Params::Bytes => with::<(Bytes,)>(definition, results),
        Params::TextText => with::<(String, String)>(definition, results),
        Params::TextBytes => with::<(String, Bytes)>(definition, results),
    }
}

fn with<P>(definition: Definition<'_, '_>, results: Results) -> wasmtime::Result<()>
where
    P: ComponentNamedList + Lift + Lower + Arguments + Send + Sync + 'static,
{
    match results {
        Results::None => definition.typed::<P, ()>(),
        Results::U32 => definition.typed::<P, (u32,)>(),
        Results::U64 => definition.typed::<P, (u64,)>(),
        Results::Text => definition.typed::<P, (String,)>(),
        Results::Bytes => definition.typed::<P, (Bytes,)>(),
        Results::OptionText => definition.typed::<P, (Option<String>,)>(),
        Results::OptionBytes => definition.typed::<P, (Option<Bytes>,)>(),
        Results::ResultNone => definition.typed::<P, (Result<(), String>,)>(),
        Results::ResultText => definition.typed::<P, (Result<String, String>,)>(),
        Results::ResultBytes => definition.typed::<P, (Result<Bytes, String>,)>(),
    }
}
