//! What `--uses` has to know of the contract of a service: that it is still one that the templates can call, and its
//! version. Reads WIT as far as that takes, which is not far: contracts that people changed are refused rather than guessed.

use std::path::Path;

use semver::Version;

use super::ScaffoldError;
use super::name::Word;

/// No more of a contract is read, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// The interface that is called.
const INTERFACE: &str = "interfaceentries{";
/// Its function.
const GET: &str = "get:asyncfunc(name:string)->result<entry,error>;";
/// The cases of its error: generated code answers each of them.
const CASES: [&str; 3] = ["not-found", "invalid(string)", "unavailable(string)"];

/// A contract that the templates can call.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Contract {
    /// The version of its package.
    pub(super) version: Version,
}

/// Reads the contract of `service` from the WIT files in `directory`.
pub(super) fn read(directory: &Path, app: &Word, service: &Word) -> Result<Contract, ScaffoldError> {
    let refused = |reason: String| ScaffoldError::Contract {
        service: service.clone(),
        place: directory.to_owned(),
        reason,
    };
    let unreadable = |error: std::io::Error| refused(format!("cannot be read ({error})"));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if entry
            .path()
            .extension()
            .is_some_and(|extension| extension == "wit")
        {
            files.push(entry);
        }
    }
    let mut text = String::new();
    let mut bytes = 0_u64;
    for file in files {
        bytes = bytes.saturating_add(file.metadata().map_err(unreadable)?.len());
        if bytes > MAX_BYTES {
            return Err(refused(format!("has more than {MAX_BYTES} bytes")));
        }
        text.push_str(&std::fs::read_to_string(file.path()).map_err(unreadable)?);
        text.push('\n');
    }
    parse(&text, app, service).map_err(refused)
}

/// Looks for what is called in the text of a package.
fn parse(text: &str, app: &Word, service: &Word) -> Result<Contract, String> {
    let code = compact(text);
    let package = format!("package{app}:{service}@");
    let version = code
        .split_once(&package)
        .and_then(|(_, rest)| rest.split_once(';'))
        .and_then(|(version, _)| Version::parse(version).ok())
        .ok_or_else(|| format!("declares no package `{app}:{service}` with a version"))?;
    let changed = |what: &str| Err(format!("has no longer {what}, which generated code would call"));
    let Some(interface) = body(&code, INTERFACE) else {
        return changed("the interface `entries`");
    };
    if !interface.contains(GET) {
        return changed("`get: async func(name: string) -> result<entry, error>` in `entries`");
    }
    let fields = body(interface, "recordentry{").unwrap_or_default();
    if !fields.split(',').any(|field| field == "text:string") {
        return changed("the field `text: string` of `entry`");
    }
    let cases = body(interface, "varianterror{").unwrap_or_default();
    let mut cases: Vec<&str> = cases.split(',').filter(|case| !case.is_empty()).collect();
    cases.sort_unstable();
    let mut expected = CASES;
    expected.sort_unstable();
    if cases != expected {
        return changed(
            "the cases `not-found`, `invalid(string)` and `unavailable(string)`, and no others, in `error`",
        );
    }
    Ok(Contract { version })
}

/// WIT without comments and blanks.
fn compact(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        rest = if rest.starts_with("//") {
            rest.split_once('\n').map_or("", |(_, after)| after)
        } else if rest.starts_with("/*") {
            rest.split_once("*/").map_or("", |(_, after)| after)
        } else {
            if !c.is_whitespace() {
                code.push(c);
            }
            after
        };
    }
    code
}

/// What stands between the brace at the end of `head` and its counterpart.
fn body<'a>(code: &'a str, head: &str) -> Option<&'a str> {
    let (_, rest) = code.split_once(head)?;
    let mut depth = 0_usize;
    let end = rest.find(|c| match c {
        '{' => {
            depth += 1;
            false
        }
        '}' if depth == 0 => true,
        '}' => {
            depth -= 1;
            false
        }
        _ => false,
    })?;
    rest.get(..end)
}

#[cfg(test)]
mod tests {
    use super::super::name::Kind;
    use super::super::template::{self, Values};
    use super::*;

    fn names() -> (Word, Word) {
        let word = |kind, text| Word::parse(kind, text).unwrap();
        (word(Kind::App, "demo"), word(Kind::Service, "greetings"))
    }

    /// The contract that the template makes.
    fn rendered() -> String {
        let mut values = Values::default();
        values.set("app", "demo");
        values.set("service", "greetings");
        let files = template::render(template::SERVICE, &values, &[]);
        files
            .into_iter()
            .find(|(path, _)| path.ends_with(".wit"))
            .unwrap()
            .1
    }

    fn parsed(text: &str) -> Result<Contract, String> {
        let (app, service) = names();
        parse(text, &app, &service)
    }

    #[test]
    fn the_contract_of_the_template_can_be_called() {
        let version = Version::new(0, 1, 0);
        assert_eq!(parsed(&rendered()), Ok(Contract { version }));
    }

    #[test]
    fn a_contract_that_grew_can_be_called_in_its_own_version() {
        let grown = rendered()
            .replace("@0.1.0", "@0.1.7")
            .replace("text: string,", "text: string, /* since, 0.1.7 } */ since: u64")
            .replace("get: ", "put: async func(e: entry) -> result<_, error>;\n get: ");
        let version = Version::new(0, 1, 7);
        assert_eq!(
            parsed(&format!("{grown}\ninterface more {{}}")),
            Ok(Contract { version })
        );
    }

    #[test]
    fn a_contract_that_changed_is_refused_with_what_is_missing() {
        let cases = [
            (
                "package demo:greetings@0.1.0;",
                "package demo:greetings;",
                "no package `demo:greetings`",
            ),
            ("demo:greetings", "demo:other", "no package `demo:greetings`"),
            ("interface entries", "interface texts", "the interface `entries`"),
            ("get: async func", "get: func", "`get: async func"),
            ("get: async func", "// get: async func", "`get: async func"),
            ("text: string", "text: list<u8>", "the field `text: string`"),
            ("not-found,", "not-found, busy,", "and no others"),
            ("invalid(string)", "invalid", "the cases"),
        ];
        for (old, new, expected) in cases {
            let text = rendered();
            assert!(text.contains(old), "{old}");
            let reason = parsed(&text.replace(old, new)).unwrap_err();
            assert!(reason.contains(expected), "{new}: {reason}");
        }
    }
}
