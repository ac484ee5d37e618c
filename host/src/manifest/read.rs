//! From the TOML tree to typed values: a [`Table`] hands out each key once, remembers which keys it knows, and
//! refuses what is left. Every fault carries the span of the key or value that it is about.
//!
//! Derived deserialisation would do the same with less text, but it loses spans inside enums and lists, and its
//! messages cannot say what is near to an unknown key.

use std::num::NonZeroU32;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Fault, shorten};
use super::nearest::nearest;

/// A fault and the bytes of the file that it is about.
pub(super) type Result<T> = std::result::Result<T, Box<Spanned<Fault>>>;

/// `fault` at `span`.
pub(super) fn fail<T>(fault: Fault, span: Range<usize>) -> Result<T> {
    Err(Box::new(Spanned::new(span, fault)))
}

/// A value and the path of keys that leads to it.
pub(super) struct Item<'t> {
    value: &'t DeValue<'t>,
    span: Range<usize>,
    path: String,
}

impl<'t> Item<'t> {
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The path for a message, `component.hello.source` in backticks.
    pub(super) fn name(&self) -> String {
        name(&self.path)
    }

    pub(super) fn is_string(&self) -> bool {
        self.value.is_str()
    }

    pub(super) fn is_boolean(&self) -> bool {
        self.value.is_bool()
    }

    pub(super) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    /// Whether this is what is there without it: an empty list or table, or `false`.
    fn asks_for_nothing(&self) -> bool {
        match self.value {
            DeValue::Array(items) => items.is_empty(),
            DeValue::Table(table) => table.is_empty(),
            DeValue::Boolean(value) => !value,
            _ => false,
        }
    }

    pub(super) fn wrong_type<T>(&self, expected: &'static str) -> Result<T> {
        let found = match self.value {
            DeValue::String(text) => format!("the string {:?}", shorten(text)),
            DeValue::Integer(number) => format!("the integer {}", shorten(number.as_str())),
            DeValue::Float(number) => format!("the float {}", shorten(number.as_str())),
            DeValue::Boolean(value) => format!("the boolean {value}"),
            DeValue::Datetime(_) => "a date".to_owned(),
            DeValue::Array(_) => "a list".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        };
        fail(
            Fault::WrongType {
                key: self.name(),
                expected,
                found,
            },
            self.span(),
        )
    }

    /// The elements, where this is a list.
    pub(super) fn elements(&self) -> Option<impl Iterator<Item = Item<'t>> + use<'t>> {
        let path = self.path.clone();
        let items = self.value.as_array()?;
        Some(items.iter().map(move |element| Item {
            value: element.get_ref(),
            span: element.span(),
            path: path.clone(),
        }))
    }
}

fn name(path: &str) -> String {
    if path.is_empty() {
        "the manifest".to_owned()
    } else {
        format!("`{}`", shorten(path))
    }
}

/// What can be read from one TOML value.
pub(super) trait Read: Sized {
    fn read(item: &Item<'_>) -> Result<Self>;
}

impl Read for String {
    fn read(item: &Item<'_>) -> Result<Self> {
        item.value
            .as_str()
            .map_or_else(|| item.wrong_type("a string"), |text| Ok(text.to_owned()))
    }
}

impl Read for bool {
    fn read(item: &Item<'_>) -> Result<Self> {
        item.value
            .as_bool()
            .map_or_else(|| item.wrong_type("a boolean"), Ok)
    }
}

impl Read for u16 {
    fn read(item: &Item<'_>) -> Result<Self> {
        let number = item.value.as_integer();
        let number = number.and_then(|number| Self::from_str_radix(number.as_str(), number.radix()).ok());
        number.map_or_else(|| item.wrong_type("an integer from 0 to 65535"), Ok)
    }
}

impl Read for u32 {
    fn read(item: &Item<'_>) -> Result<Self> {
        let number = item.value.as_integer();
        let number = number.and_then(|number| Self::from_str_radix(number.as_str(), number.radix()).ok());
        number.map_or_else(|| item.wrong_type("an integer from 0 to 4294967295"), Ok)
    }
}

impl Read for NonZeroU32 {
    fn read(item: &Item<'_>) -> Result<Self> {
        let number = item.value.as_integer();
        let number = number.and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok());
        let number = number.and_then(Self::new);
        number.map_or_else(|| item.wrong_type("an integer from 1 to 4294967295"), Ok)
    }
}

impl<T: Read> Read for Spanned<T> {
    fn read(item: &Item<'_>) -> Result<Self> {
        Ok(Self::new(item.span(), T::read(item)?))
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(item: &Item<'_>) -> Result<Self> {
        match item.elements() {
            Some(elements) => elements.map(|element| T::read(&element)).collect(),
            None => item.wrong_type("a list"),
        }
    }
}

/// A table whose keys are names that the user chose, in the order of the file.
pub(super) struct Entries<T>(pub(super) Vec<(Spanned<String>, T)>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Read> Read for Entries<T> {
    fn read(item: &Item<'_>) -> Result<Self> {
        Table::open(item)?
            .entries()
            .into_iter()
            .map(|(key, item)| Ok((key, T::read(&item)?)))
            .collect::<Result<_>>()
            .map(Self)
    }
}

/// Which fault an unknown key of a table is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// The table is part of Spin's manifest.
    Spin,
    /// The table is Midplane's.
    Midplane,
}

/// A table whose keys are known; [`Table::close`] refuses all others.
pub(super) struct Table<'t> {
    table: &'t DeTable<'t>,
    path: String,
    span: Range<usize>,
    known: Vec<&'static str>,
    refused: Vec<&'static str>,
}

impl<'t> Table<'t> {
    /// The whole document.
    pub(super) fn root(document: &'t Spanned<DeTable<'t>>) -> Self {
        Self::new(document.get_ref(), String::new(), document.span())
    }

    pub(super) fn open(item: &Item<'t>) -> Result<Self> {
        match item.value.as_table() {
            Some(table) => Ok(Self::new(table, item.path.clone(), item.span())),
            None => item.wrong_type("a table"),
        }
    }

    fn new(table: &'t DeTable<'t>, path: String, span: Range<usize>) -> Self {
        Self {
            table,
            path,
            span,
            known: Vec::new(),
            refused: Vec::new(),
        }
    }

    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    pub(super) fn name(&self) -> String {
        name(&self.path)
    }

    /// The value of `key`, which is known from now on.
    pub(super) fn item(&mut self, key: &'static str) -> Option<Item<'t>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.table.get(key).map(|value| self.child(key, value))
    }

    pub(super) fn optional<T: Read>(&mut self, key: &'static str) -> Result<Option<T>> {
        self.item(key).map(|item| T::read(&item)).transpose()
    }

    pub(super) fn or_default<T: Read + Default>(&mut self, key: &'static str) -> Result<T> {
        Ok(self.optional(key)?.unwrap_or_default())
    }

    pub(super) fn required<T: Read>(&mut self, key: &'static str, example: &'static str) -> Result<T> {
        match self.optional(key)? {
            Some(value) => Ok(value),
            None => self.missing(key, example),
        }
    }

    /// `key` is not there; if something is that looks like it, that is the fault.
    fn missing<T>(&self, key: &'static str, example: &'static str) -> Result<T> {
        let table = self.name();
        let misspelt = self.table.keys().find(|written| {
            !self.has_seen(written.get_ref()) && nearest(written.get_ref(), std::iter::once(key)).is_some()
        });
        match misspelt {
            Some(written) => {
                let fault = Fault::UnknownKey {
                    key: written.get_ref().to_string(),
                    table,
                    known: vec![key],
                };
                fail(fault, written.span())
            }
            None => fail(Fault::Missing { key, table, example }, self.span()),
        }
    }

    /// Refuses `key` by name unless it asks for nothing.
    pub(super) fn refuse(&mut self, key: &'static str, instead: &str) -> Result<()> {
        self.refused.push(key);
        match self.table.get_key_value(key) {
            Some((written, value)) if !self.child(key, value).asks_for_nothing() => {
                let what = self.child(key, value).name();
                fail(
                    Fault::Unsupported {
                        what,
                        instead: instead.to_owned(),
                    },
                    written.span(),
                )
            }
            _ => Ok(()),
        }
    }

    /// Whether one of `keys` is there. They are not named as known ones.
    pub(super) fn has_any(&mut self, keys: &[&'static str]) -> bool {
        self.refused.extend(keys);
        keys.iter().any(|key| self.table.contains_key(*key))
    }

    /// All keys with their values, in the order of the file.
    pub(super) fn entries(&self) -> Vec<(Spanned<String>, Item<'t>)> {
        let mut entries: Vec<_> = self
            .table
            .iter()
            .map(|(key, value)| {
                let name = key.get_ref().to_string();
                let item = self.child(&name, value);
                (Spanned::new(key.span(), name), item)
            })
            .collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        entries
    }

    /// Refuses the first key, in the order of the file, that nobody asked for.
    pub(super) fn close(self, owner: Owner) -> Result<()> {
        let unknown = self.table.keys().filter(|key| !self.has_seen(key.get_ref()));
        let Some(first) = unknown.min_by_key(|key| key.span().start) else {
            return Ok(());
        };
        let (key, table, known) = (first.get_ref().to_string(), self.name(), self.known);
        let fault = match owner {
            Owner::Spin => Fault::UnknownKey { key, table, known },
            Owner::Midplane => Fault::UnknownSetting { key, table, known },
        };
        fail(fault, first.span())
    }

    fn has_seen(&self, key: &str) -> bool {
        self.known.contains(&key) || self.refused.contains(&key)
    }

    fn child(&self, key: &str, value: &'t Spanned<DeValue<'t>>) -> Item<'t> {
        let path = if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        };
        Item {
            value: value.get_ref(),
            span: value.span(),
            path,
        }
    }
}
