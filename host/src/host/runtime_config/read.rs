//! From the TOML tree to typed values: a [`Table`] hands out its keys, remembers which it knows, and refuses what is
//! left. Every problem carries the span of the key or value that it is about.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::Diagnostic;
use crate::manifest::Fault;
use crate::model::quantity::{QuantityError, parse_bytes, parse_duration};

/// No shown text is longer, in characters.
const MAX_SHOWN: usize = 80;

pub(super) type Result<T> = std::result::Result<T, Box<Problem>>;

/// A fault and the bytes of the file that it is about.
pub(super) struct Problem {
    fault: Fault,
    span: Range<usize>,
    secret: bool,
}

impl Problem {
    pub(super) fn at(&self, text: &str, file: &Path) -> Box<Diagnostic> {
        if self.secret {
            Diagnostic::without_values(self.fault.clone(), text, file, &self.span)
        } else {
            Diagnostic::new(self.fault.clone(), text, file, &self.span)
        }
    }
}

/// A value, the path of keys that leads to it, and where both are.
pub(super) struct Item<'t> {
    value: &'t DeValue<'t>,
    path: String,
    key_span: Range<usize>,
    span: Range<usize>,
    secret: bool,
}

impl<'t> Item<'t> {
    fn new(path: String, key_span: Range<usize>, value: &'t Spanned<DeValue<'t>>, secret: bool) -> Self {
        Self {
            value: value.get_ref(),
            path,
            key_span,
            span: value.span(),
            secret,
        }
    }

    /// The value, or those in it, may be secret.
    pub(super) fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    fn fail<T>(&self, fault: Fault) -> Result<T> {
        let span = if self.secret { &self.key_span } else { &self.span };
        Err(Box::new(Problem {
            fault,
            span: span.clone(),
            secret: self.secret,
        }))
    }

    /// The value breaks a rule.
    pub(super) fn invalid<T>(&self, reason: impl Into<String>, hint: Option<&str>) -> Result<T> {
        self.fail(Fault::Invalid {
            what: quoted(&self.path),
            reason: reason.into(),
            hint: hint.map(str::to_owned),
        })
    }

    /// The value asks for something that this version does not do.
    pub(super) fn unsupported<T>(&self, what: impl Into<String>, instead: &str) -> Result<T> {
        self.fail(Fault::Unsupported {
            what: what.into(),
            instead: instead.to_owned(),
        })
    }

    fn wrong_type<T>(&self, expected: &'static str) -> Result<T> {
        let found = match self.value {
            _ if self.secret => format!("a value of another type ({})", self.value.type_str()),
            DeValue::String(text) => format!("the string {:?}", shorten(text)),
            DeValue::Integer(number) => format!("the integer {}", shorten(number.as_str())),
            DeValue::Float(number) => format!("the float {}", shorten(number.as_str())),
            DeValue::Boolean(value) => format!("the boolean {value}"),
            DeValue::Datetime(_) => "a date".to_owned(),
            DeValue::Array(_) => "a list".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        };
        self.fail(Fault::WrongType {
            key: quoted(&self.path),
            expected,
            found,
        })
    }

    pub(super) fn text(&self) -> Result<&'t str> {
        self.value
            .as_str()
            .map_or_else(|| self.wrong_type("a string"), Ok)
    }

    pub(super) fn boolean(&self) -> Result<bool> {
        self.value
            .as_bool()
            .map_or_else(|| self.wrong_type("a boolean"), Ok)
    }

    /// An integer from 1 to the largest that `N` can be.
    pub(super) fn positive<N: TryFrom<u64>>(&self) -> Result<N> {
        let number = self.integer().filter(|number| *number > 0);
        let number = number.and_then(|number| N::try_from(number).ok());
        number.map_or_else(|| self.wrong_type("an integer of at least 1"), Ok)
    }

    /// A number of bytes, or a text such as `"64MiB"`; at least 1.
    pub(super) fn bytes(&self) -> Result<u64> {
        const EXPECTED: &str = "a size: a number of bytes, or a text such as \"64MiB\"";
        if let Some(text) = self.value.as_str() {
            return match parse_bytes(text) {
                Ok(0) => self.zero(),
                Ok(bytes) => Ok(bytes),
                Err(error) => self.not_a_quantity(error, "a size is written as in `\"64MiB\"`"),
            };
        }
        match self.integer() {
            Some(0) => self.zero(),
            Some(bytes) => Ok(bytes),
            None => self.wrong_type(EXPECTED),
        }
    }

    /// A size that a `usize` can hold.
    pub(super) fn length(&self) -> Result<usize> {
        match usize::try_from(self.bytes()?) {
            Ok(bytes) => Ok(bytes),
            Err(_) => self.not_a_quantity(QuantityError::TooLarge, "this machine has no such sizes"),
        }
    }

    /// A text such as `"5s"`, more than no time.
    pub(super) fn duration(&self) -> Result<Duration> {
        let Some(text) = self.value.as_str() else {
            return self.wrong_type("a time as text, such as \"5s\"");
        };
        match parse_duration(text) {
            Ok(Duration::ZERO) => self.zero(),
            Ok(time) => Ok(time),
            Err(error) => self.not_a_quantity(error, "a time is written as in `\"250ms\"` or `\"5s\"`"),
        }
    }

    /// A path, made absolute from `dir`.
    pub(super) fn path(&self, dir: &Path) -> Result<PathBuf> {
        match self.text()? {
            "" => self.invalid("it is empty", Some("`.` is the directory of this file")),
            text if text.contains('\0') => self.invalid("it has a NUL in it", None),
            text => Ok(dir.join(text)),
        }
    }

    /// The elements of a list.
    pub(super) fn elements(&self) -> Result<Vec<Item<'t>>> {
        let Some(elements) = self.value.as_array() else {
            return self.wrong_type("a list");
        };
        let elements = elements.iter().map(|element| {
            let span = element.span();
            Item::new(self.path.clone(), span, element, self.secret)
        });
        Ok(elements.collect())
    }

    fn integer(&self) -> Option<u64> {
        let number = self.value.as_integer()?;
        u64::from_str_radix(number.as_str(), number.radix()).ok()
    }

    fn zero<T>(&self) -> Result<T> {
        self.invalid("it is 0", Some("leave the key out for the default"))
    }

    fn not_a_quantity<T>(&self, error: QuantityError, hint: &str) -> Result<T> {
        self.invalid(error.to_string(), Some(hint))
    }
}

/// A table whose keys are known; [`Table::close`] refuses all others.
pub(super) struct Table<'t> {
    table: &'t DeTable<'t>,
    path: String,
    span: Range<usize>,
    known: Vec<&'static str>,
    secret: bool,
}

impl<'t> Table<'t> {
    /// The whole document.
    pub(super) fn root(document: &'t Spanned<DeTable<'t>>) -> Self {
        Self {
            table: document.get_ref(),
            path: String::new(),
            span: document.span(),
            known: Vec::new(),
            secret: false,
        }
    }

    pub(super) fn open(item: &Item<'t>) -> Result<Self> {
        let Some(table) = item.value.as_table() else {
            return item.wrong_type("a table");
        };
        Ok(Self {
            table,
            path: item.path.clone(),
            span: item.span.clone(),
            known: Vec::new(),
            secret: item.secret,
        })
    }

    /// The value of `key`, which is known from now on.
    pub(super) fn item(&mut self, key: &'static str) -> Option<Item<'t>> {
        self.known.push(key);
        let (written, value) = self.table.get_key_value(key)?;
        Some(self.child(written.span(), key, value))
    }

    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Item<'t>) -> Result<T>,
    ) -> Result<Option<T>> {
        self.item(key).map(|item| read(&item)).transpose()
    }

    pub(super) fn required(&mut self, key: &'static str, example: &'static str) -> Result<Item<'t>> {
        match self.item(key) {
            Some(item) => Ok(item),
            None => Err(Box::new(Problem {
                fault: Fault::Missing {
                    key,
                    table: self.name(),
                    example,
                },
                span: self.span.clone(),
                secret: self.secret,
            })),
        }
    }

    /// Refuses `key` by name.
    pub(super) fn refuse(&mut self, key: &'static str, instead: &str) -> Result<()> {
        match self.table.get_key_value(key) {
            Some((written, _)) => Err(Box::new(Problem {
                fault: Fault::Unsupported {
                    what: quoted(&join(&self.path, key)),
                    instead: instead.to_owned(),
                },
                span: written.span(),
                secret: true,
            })),
            None => Ok(()),
        }
    }

    /// All keys with their values, in the order of the file.
    pub(super) fn entries(&self) -> Vec<(Key, Item<'t>)> {
        let mut entries: Vec<_> = self
            .table
            .iter()
            .map(|(written, value)| {
                let name = written.get_ref().to_string();
                let item = self.child(written.span(), &name, value);
                (
                    Key {
                        name,
                        span: written.span(),
                    },
                    item,
                )
            })
            .collect();
        entries.sort_by_key(|(key, _)| key.span.start);
        entries
    }

    /// Refuses the first key, in the order of the file, that nobody asked for.
    pub(super) fn close(self) -> Result<()> {
        let unknown = self
            .table
            .keys()
            .filter(|key| !self.known.contains(&&**key.get_ref()));
        let Some(first) = unknown.min_by_key(|key| key.span().start) else {
            return Ok(());
        };
        Err(Box::new(Problem {
            span: first.span(),
            secret: true,
            fault: Fault::UnknownKey {
                key: first.get_ref().to_string(),
                table: self.name(),
                known: self.known,
            },
        }))
    }

    fn name(&self) -> String {
        if self.path.is_empty() {
            "the runtime configuration".to_owned()
        } else {
            quoted(&self.path)
        }
    }

    fn child(&self, key_span: Range<usize>, key: &str, value: &'t Spanned<DeValue<'t>>) -> Item<'t> {
        Item::new(join(&self.path, key), key_span, value, self.secret)
    }
}

/// A key that the user chose.
pub(super) struct Key {
    pub(super) name: String,
    span: Range<usize>,
}

impl Key {
    /// The key breaks a rule.
    pub(super) fn invalid<T>(&self, what: &str, reason: impl Into<String>) -> Result<T> {
        Err(Box::new(Problem {
            fault: Fault::Invalid {
                what: format!("{what} {:?}", shorten(&self.name)),
                reason: reason.into(),
                hint: None,
            },
            span: self.span.clone(),
            secret: true,
        }))
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

fn quoted(path: &str) -> String {
    format!("`{}`", shorten(path))
}

/// `text` for a message: without control characters, at most [`MAX_SHOWN`] characters.
pub(super) fn shorten(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(MAX_SHOWN)
        .map(|c| {
            if c.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect();
    if text.chars().nth(MAX_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
