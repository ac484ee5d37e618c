//! Types and functions as WIT writes them, shortened for messages: `{}` writes at most some hundred characters, `{:#}` all.

use std::fmt;

use super::{Function, Item, Resource, Type, Unsupported};

/// Characters of a type in a message.
const MAX_CHARS: usize = 240;
/// Levels of nested types in a message.
const MAX_LEVELS: usize = 4;
/// Fields or cases of one type in a message.
const MAX_MEMBERS: usize = 8;
/// What stands for what is left out.
const MORE: &str = "…";

/// A text that ends where its room does.
struct Page {
    text: String,
    room: Room,
}

/// What still goes onto a page.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    /// Everything.
    All,
    /// So many characters.
    Chars(usize),
    /// Nothing: the text was cut.
    Over,
}

impl Page {
    fn new(all: bool) -> Self {
        Self {
            text: String::new(),
            room: if all { Room::All } else { Room::Chars(MAX_CHARS) },
        }
    }

    fn put(&mut self, text: &str) {
        match self.room {
            Room::All => self.text.push_str(text),
            Room::Chars(left) => match left.checked_sub(text.chars().count()) {
                Some(left) => {
                    self.text.push_str(text);
                    self.room = Room::Chars(left);
                }
                None => {
                    self.text.push_str(MORE);
                    self.room = Room::Over;
                }
            },
            Room::Over => {}
        }
    }

    fn is_over(&self) -> bool {
        self.room == Room::Over
    }

    /// Whether only as much is put as a message may have.
    fn is_bounded(&self) -> bool {
        self.room != Room::All
    }

    /// Puts members in a row, as many as a message may have.
    fn row<T>(&mut self, members: &[T], mut put: impl FnMut(&mut Self, &T)) {
        for (index, member) in members.iter().enumerate() {
            if index > 0 {
                self.put(", ");
            }
            if self.is_over() {
                return;
            }
            if self.is_bounded() && index == MAX_MEMBERS {
                self.put(MORE);
                return;
            }
            put(self, member);
        }
    }

    /// `kind { members }`.
    fn block<T>(&mut self, kind: &str, members: &[T], put: impl FnMut(&mut Self, &T)) {
        self.put(kind);
        self.put(" { ");
        self.row(members, put);
        self.put(" }");
    }

    fn ty(&mut self, ty: &Type, level: usize) {
        if self.is_over() {
            return;
        }
        let deep = self.is_bounded() && level >= MAX_LEVELS;
        let below = level + 1;
        match ty {
            Type::Bool => self.put("bool"),
            Type::S8 => self.put("s8"),
            Type::U8 => self.put("u8"),
            Type::S16 => self.put("s16"),
            Type::U16 => self.put("u16"),
            Type::S32 => self.put("s32"),
            Type::U32 => self.put("u32"),
            Type::S64 => self.put("s64"),
            Type::U64 => self.put("u64"),
            Type::F32 => self.put("f32"),
            Type::F64 => self.put("f64"),
            Type::Char => self.put("char"),
            Type::String => self.put("string"),
            Type::Unsupported(unsupported) => self.unsupported(unsupported, below),
            _ if deep => self.put(MORE),
            Type::List(element) => self.angle("list", below, &[element]),
            Type::FixedList(element, length) => {
                self.put("list<");
                self.ty(element, below);
                self.put(&format!(", {length}>"));
            }
            Type::Map(key, value) => self.angle("map", below, &[key, value]),
            Type::Tuple(members) => {
                self.put("tuple<");
                self.row(members, |page, ty| page.ty(ty, below));
                self.put(">");
            }
            Type::Record(fields) => self.block("record", fields, |page, (name, ty)| {
                page.put(name);
                page.put(": ");
                page.ty(ty, below);
            }),
            Type::Variant(cases) => self.block("variant", cases, |page, (name, payload)| {
                page.put(name);
                if let Some(payload) = payload {
                    page.put("(");
                    page.ty(payload, below);
                    page.put(")");
                }
            }),
            Type::Enum(names) => self.block("enum", names, |page, name| page.put(name)),
            Type::Flags(names) => self.block("flags", names, |page, name| page.put(name)),
            Type::Option(some) => self.angle("option", below, &[some]),
            Type::Result { ok: None, err: None } => self.put("result"),
            Type::Result {
                ok: Some(ok),
                err: None,
            } => self.angle("result", below, &[ok]),
            Type::Result {
                ok: None,
                err: Some(err),
            } => {
                self.put("result<_, ");
                self.ty(err, below);
                self.put(">");
            }
            Type::Result {
                ok: Some(ok),
                err: Some(err),
            } => self.angle("result", below, &[ok, err]),
        }
    }

    fn angle(&mut self, kind: &str, level: usize, members: &[&Type]) {
        self.put(kind);
        self.put("<");
        self.row(members, |page, ty| page.ty(ty, level));
        self.put(">");
    }

    fn unsupported(&mut self, unsupported: &Unsupported, level: usize) {
        let (kind, payload) = match unsupported {
            Unsupported::Own(Resource::Unnamed) => return self.put("own<resource>"),
            Unsupported::Borrow(Resource::Unnamed) => return self.put("borrow<resource>"),
            Unsupported::Own(Resource::Named { name, .. }) => return self.put(name),
            Unsupported::Borrow(Resource::Named { name, .. }) => return self.put(&format!("borrow<{name}>")),
            Unsupported::ErrorContext => return self.put("error-context"),
            Unsupported::Stream(payload) => ("stream", payload),
            Unsupported::Future(payload) => ("future", payload),
        };
        match payload {
            None => self.put(kind),
            Some(_) if self.is_bounded() && level > MAX_LEVELS => self.put(kind),
            Some(payload) => self.angle(kind, level, &[payload]),
        }
    }

    fn function(&mut self, function: &Function) {
        self.put(if function.is_async { "async func(" } else { "func(" });
        self.row(&function.params, |page, (name, ty)| {
            page.put(name);
            page.put(": ");
            page.ty(ty, 1);
        });
        self.put(")");
        if let Some(result) = &function.result {
            self.put(" -> ");
            self.ty(result, 1);
        }
    }
}

/// As in WIT; `{}` is shortened.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut page = Page::new(f.alternate());
        page.ty(self, 0);
        f.write_str(&page.text)
    }
}

/// As in WIT; `{}` is shortened.
impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut page = Page::new(f.alternate());
        page.function(self);
        f.write_str(&page.text)
    }
}

/// The kind of thing, with its name where it is known.
impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let resource = |f: &mut fmt::Formatter<'_>, kind: &str, resource: &Resource| match resource {
            Resource::Named { interface, name } => {
                write!(
                    f,
                    "{kind} the resource `{}` of `{}`",
                    short(name),
                    short(interface)
                )
            }
            Resource::Unnamed => write!(f, "{kind} a resource"),
        };
        match self {
            Self::Own(of) => resource(f, "a handle that owns", of),
            Self::Borrow(of) => resource(f, "a handle that borrows", of),
            Self::Stream(_) => f.write_str("a stream"),
            Self::Future(_) => f.write_str("a future"),
            Self::ErrorContext => f.write_str("an error-context"),
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Resource => "resource",
            Self::Instance => "nested instance",
            Self::Component => "component",
            Self::Module => "core module",
            Self::CoreFunction => "core function",
        })
    }
}

/// A name for a message: a component may have chosen it to be very long, or not to be printable.
pub(super) fn short(name: &str) -> String {
    const MAX_NAME_CHARS: usize = 120;
    let mut text: String = name
        .chars()
        .take(MAX_NAME_CHARS)
        .flat_map(char::escape_debug)
        .collect();
    if name.chars().nth(MAX_NAME_CHARS).is_some() {
        text.push_str(MORE);
    }
    text
}

/// Names for a message, in backquotes: the first few, and how many there are beside them.
pub(in crate::link) fn list<T: fmt::Display>(names: &[T]) -> String {
    const MAX_NAMES: usize = 6;
    let shown: Vec<String> = names
        .iter()
        .take(MAX_NAMES)
        .map(|name| format!("`{}`", short(&name.to_string())))
        .collect();
    let text = shown.join(", ");
    match names.len().checked_sub(MAX_NAMES) {
        Some(more @ 1..) => format!("{text} and {more} more"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(fields: &[(&str, Type)]) -> Type {
        Type::Record(
            fields
                .iter()
                .map(|(name, ty)| ((*name).to_owned(), ty.clone()))
                .collect(),
        )
    }

    #[test]
    fn a_function_reads_as_in_wit() {
        let error = Type::Variant(vec![
            ("not-found".into(), None),
            ("unavailable".into(), Some(Type::String)),
        ]);
        let function = Function {
            is_async: true,
            params: vec![
                ("id".into(), Type::String),
                (
                    "page".into(),
                    Type::Option(Box::new(Type::Tuple(vec![Type::U32, Type::S8]))),
                ),
            ],
            result: Some(Type::Result {
                ok: Some(Box::new(Type::List(Box::new(record(&[("price", Type::U64)]))))),
                err: Some(Box::new(error)),
            }),
        };
        assert_eq!(
            function.to_string(),
            "async func(id: string, page: option<tuple<u32, s8>>) -> result<list<record { price: u64 }>, \
             variant { not-found, unavailable(string) }>"
        );
    }

    #[test]
    fn every_form_of_a_result_has_its_own_text() {
        let result = |ok: Option<Type>, err: Option<Type>| Type::Result {
            ok: ok.map(Box::new),
            err: err.map(Box::new),
        };
        assert_eq!(result(None, None).to_string(), "result");
        assert_eq!(result(Some(Type::U8), None).to_string(), "result<u8>");
        assert_eq!(result(None, Some(Type::U8)).to_string(), "result<_, u8>");
        assert_eq!(
            result(Some(Type::Bool), Some(Type::U8)).to_string(),
            "result<bool, u8>"
        );
    }

    #[test]
    fn the_rarer_types_read_as_in_wit_too() {
        let ty = Type::Tuple(vec![
            Type::FixedList(Box::new(Type::F32), 3),
            Type::Map(Box::new(Type::String), Box::new(Type::Char)),
            Type::Flags(vec!["read".into(), "write".into()]),
            Type::Enum(vec!["a".into()]),
            Type::Unsupported(Unsupported::Stream(Some(Box::new(Type::U8)))),
            Type::Unsupported(Unsupported::Future(None)),
            Type::Unsupported(Unsupported::ErrorContext),
        ]);
        assert_eq!(
            ty.to_string(),
            "tuple<list<f32, 3>, map<string, char>, flags { read, write }, enum { a }, stream<u8>, future, \
             error-context>"
        );
    }

    #[test]
    fn a_message_leaves_out_what_is_deep_or_long_and_the_alternate_form_does_not() {
        let deep = (0..20).fold(Type::U8, |ty, _| Type::List(Box::new(ty)));
        assert_eq!(deep.to_string(), "list<list<list<list<…>>>>");
        assert!(format!("{deep:#}").contains("list<u8>"));

        let wide = Type::Enum((0..20).map(|index| format!("case-{index}")).collect());
        assert!(wide.to_string().ends_with("case-7, … }"), "{wide}");
        assert!(format!("{wide:#}").ends_with("case-19 }"));

        let long = record(&[("a".repeat(10_000).as_str(), Type::U8)]);
        assert_eq!(long.to_string(), "record { …");
    }

    #[test]
    fn a_text_that_was_cut_says_so_wherever_the_cut_falls() {
        for length in MAX_CHARS - 30..MAX_CHARS {
            let name = "a".repeat(length);
            let text = record(&[(name.as_str(), Type::U8), ("b", Type::U8)]).to_string();
            assert!(text.ends_with(" }") || text.ends_with(MORE), "{length}: {text}");
            assert!(text.chars().count() <= MAX_CHARS + 1, "{length}: {text}");
        }
    }

    #[test]
    fn names_in_a_list_are_few_and_printable() {
        let names: Vec<String> = (0..9).map(|index| format!("n{index}")).collect();
        assert_eq!(list(&names), "`n0`, `n1`, `n2`, `n3`, `n4`, `n5` and 3 more");
        assert_eq!(list(&["a\u{1b}[31m"]), "`a\\u{1b}[31m`");
        assert!(short(&"x".repeat(100_000)).len() < 200);
    }
}
