//! Names that are everything at once: an id in the manifest, a directory, a crate and a word of WIT.

use std::fmt;

use super::ScaffoldError;
use crate::model::{NameError, ServiceName};

/// Words that WIT itself uses: a package may have them only with an escape, which every caller would have to write too.
const WIT_KEYWORDS: [&str; 43] = [
    "as",
    "async",
    "bool",
    "borrow",
    "char",
    "constructor",
    "enum",
    "error-context",
    "export",
    "f32",
    "f64",
    "flags",
    "from",
    "func",
    "future",
    "import",
    "include",
    "interface",
    "list",
    "map",
    "option",
    "own",
    "package",
    "record",
    "resource",
    "result",
    "s16",
    "s32",
    "s64",
    "s8",
    "static",
    "stream",
    "string",
    "tuple",
    "type",
    "u16",
    "u32",
    "u64",
    "u8",
    "use",
    "variant",
    "with",
    "world",
];

/// Words that Rust itself uses: no crate and no module has such a name.
const RUST_KEYWORDS: [&str; 47] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop",
    "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static",
    "struct", "super", "trait", "true", "try", "type", "typeof", "unsafe", "use", "where",
];

/// Namespaces of interfaces that hosts provide.
const HOST_NAMESPACES: [&str; 6] = ["fermyon", "midplane", "spin", "wasi", "wasmcloud", "wasmtime"];

/// Directories that Cargo writes to, and crates that come with Rust.
const CARGO_NAMES: [&str; 10] = [
    "alloc",
    "build",
    "core",
    "deps",
    "examples",
    "incremental",
    "proc-macro",
    "std",
    "target",
    "test",
];

/// Crates that every service is built from: `cargo test -p NAME` would not know which one is meant. What an update of
/// theirs brings is not among them, so no command that is written for a service says `-p`.
const CRATES: [&str; 44] = [
    "anyhow",
    "bitflags",
    "bytes",
    "equivalent",
    "foldhash",
    "futures",
    "futures-channel",
    "futures-core",
    "futures-executor",
    "futures-io",
    "futures-macro",
    "futures-sink",
    "futures-task",
    "futures-util",
    "hashbrown",
    "heck",
    "http",
    "http-body",
    "http-body-util",
    "id-arena",
    "indexmap",
    "itoa",
    "leb128fmt",
    "log",
    "memchr",
    "prettyplease",
    "quote",
    "semver",
    "serde",
    "serde-json",
    "slab",
    "spin-macro",
    "spin-sdk",
    "syn",
    "thiserror",
    "thiserror-impl",
    "unicode-ident",
    "unicode-xid",
    "wasip3",
    "wasm-encoder",
    "wasmparser",
    "wit-bindgen",
    "wit-parser",
    "zmij",
];

/// What a name is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Kind {
    /// An app: the namespace of its contracts.
    App,
    /// A service: a package of contracts, and two crates.
    Service,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::App => "an app",
            Self::Service => "a service",
        })
    }
}

/// A name of lower-case words, separated by hyphens, that means nothing else anywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Word(String);

/// Why a text cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::cli) enum NameFault {
    /// It has not the form.
    #[error(transparent)]
    Form(#[from] NameError),
    /// It has upper-case letters, which crates and WIT packages have not.
    #[error("it becomes a crate and a WIT package, which are all lower case")]
    UpperCase,
    /// It means something else.
    #[error("it is {0}")]
    Reserved(&'static str),
}

impl Word {
    /// Checks a name.
    pub(in crate::cli) fn parse(kind: Kind, text: &str) -> Result<Self, ScaffoldError> {
        match fault(kind, text) {
            None => Ok(Self(text.to_owned())),
            Some(fault) => Err(ScaffoldError::Name {
                kind,
                name: text.chars().take(80).collect(),
                suggestion: suggestion(kind, text),
                fault,
            }),
        }
    }

    /// `order-desk`.
    pub(in crate::cli) fn as_str(&self) -> &str {
        &self.0
    }

    /// `order_desk`: how Rust names crates and modules.
    pub(in crate::cli) fn snake(&self) -> String {
        self.0.replace('-', "_")
    }

    /// `OrderDesk`: how Rust names types.
    pub(super) fn camel(&self) -> String {
        let mut camel = String::with_capacity(self.0.len());
        for word in self.0.split('-') {
            let mut letters = word.chars();
            camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
            camel.push_str(letters.as_str());
        }
        camel
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

fn fault(kind: Kind, text: &str) -> Option<NameFault> {
    if let Err(error) = ServiceName::parse(text) {
        return Some(error.into());
    }
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Some(NameFault::UpperCase);
    }
    reserved(kind, text).map(NameFault::Reserved)
}

/// What else the name means.
fn reserved(kind: Kind, name: &str) -> Option<&'static str> {
    if WIT_KEYWORDS.contains(&name) {
        return Some("a keyword of WIT");
    }
    if RUST_KEYWORDS.contains(&name) {
        return Some("a keyword of Rust");
    }
    if HOST_NAMESPACES.contains(&name) {
        return Some("the namespace of a host's own interfaces");
    }
    match kind {
        Kind::App if name == "spin-sdk" => {
            Some("the crate that services use, and would name the module of the contracts too")
        }
        Kind::App if name == "exports" => Some("the module in which generated code keeps what is exported"),
        Kind::App => None,
        Kind::Service if name == "component" => Some("the WIT package in which a service's own world is"),
        Kind::Service if CARGO_NAMES.contains(&name) => Some("a name that Cargo or Rust's own crates use"),
        Kind::Service if CRATES.contains(&name) => Some("the name of a crate that services are built from"),
        Kind::Service if name.ends_with("-domain") => Some("how the crate with a service's rules is named"),
        Kind::Service => None,
    }
}

/// A name that is near the one that was refused.
fn suggestion(kind: Kind, text: &str) -> Option<String> {
    let mut kebab = String::new();
    let mut last = ' ';
    for c in text.chars().take(64) {
        if c.is_ascii_uppercase() && last.is_ascii_lowercase() {
            kebab.push('-');
        }
        last = c;
        match c {
            c if c.is_ascii_alphanumeric() => kebab.push(c.to_ascii_lowercase()),
            _ if kebab.ends_with('-') => (),
            _ => kebab.push('-'),
        }
    }
    let kebab = kebab.trim_matches('-');
    let longer = match kind {
        Kind::App => format!("{kebab}-app"),
        Kind::Service => format!("{}-desk", kebab.trim_end_matches("-domain")),
    };
    [kebab.to_owned(), longer]
        .into_iter()
        .find(|name| fault(kind, name).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(kind: Kind, text: &str) -> (String, Option<String>) {
        let error = Word::parse(kind, text).unwrap_err();
        (error.to_string(), error.hint())
    }

    #[test]
    fn a_name_is_written_in_each_language_as_it_wants_it() {
        let word = Word::parse(Kind::Service, "order-desk2").unwrap();
        assert_eq!(word.as_str(), "order-desk2");
        assert_eq!(word.snake(), "order_desk2");
        assert_eq!(word.camel(), "OrderDesk2");
        assert_eq!(Word::parse(Kind::App, "a").unwrap().camel(), "A");
    }

    #[test]
    fn a_bad_name_is_refused_with_its_reason_and_a_better_one() {
        let cases = [
            (
                "order_desk",
                "separated by `-`, not by `_`",
                "for example `order-desk`",
            ),
            ("OrderDesk", "is mixed", "for example `order-desk`"),
            ("FAQ", "all lower case", "for example `faq`"),
            ("9lives", "starts with an ASCII letter", "order-desk"),
            ("", "must not be empty", "order-desk"),
            ("../etc", "starts with an ASCII letter", "for example `etc`"),
            ("a/b", "not '/'", "for example `a-b`"),
            ("match", "a keyword of Rust", "for example `match-desk`"),
            ("stream", "a keyword of WIT", "for example `stream-desk`"),
            (
                "error-context",
                "a keyword of WIT",
                "for example `error-context-desk`",
            ),
            (
                "spin",
                "the namespace of a host's own interfaces",
                "for example `spin-desk`",
            ),
            ("target", "a name that Cargo", "for example `target-desk`"),
            ("http", "the name of a crate", "for example `http-desk`"),
            (
                "component",
                "a service's own world",
                "for example `component-desk`",
            ),
            (
                "users-domain",
                "the crate with a service's rules",
                "for example `users-desk`",
            ),
        ];
        for (name, reason, hint) in cases {
            let (message, hinted) = refusal(Kind::Service, name);
            assert!(message.contains(reason), "{name:?}: {message}");
            assert!(
                message.contains(&format!("`{name}` cannot be the name of a service")),
                "{message}"
            );
            let hinted = hinted.unwrap();
            assert!(hinted.contains(hint), "{name:?}: {hinted}");
        }
    }

    #[test]
    fn an_app_may_be_called_what_only_a_service_may_not() {
        assert!(Word::parse(Kind::App, "http").is_ok());
        for name in ["wasi", "exports", "self", "use", "spin-sdk"] {
            let (message, hint) = refusal(Kind::App, name);
            assert!(message.contains("cannot be the name of an app"), "{message}");
            assert_eq!(hint.unwrap(), format!("for example `{name}-app`"));
        }
    }

    #[test]
    fn a_long_name_is_refused_and_not_repeated_whole() {
        let (message, _) = refusal(Kind::App, &"a".repeat(5000));
        assert!(message.len() < 300, "{message}");
    }
}
