//! `host/ARCHITECTURE.md`, held against the sources: which module may see which, what is fenced in, and that what the
//! page says of files and bounds is so. A new edge or exception is a change of the tables here and of the page.

mod source;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use source::{Source, Token, product, used_modules};

/// Each top-level module of `host/src` with those that it may see.
const DIRECTION: [(&str, &[&str]); 17] = [
    ("model", &[]),
    ("shutdown", &[]),
    ("telemetry", &["shutdown", "model"]),
    ("manifest", &["model"]),
    ("bindings", &[]),
    ("capability", &["bindings", "model", "telemetry"]),
    ("adapter", &["capability", "model"]),
    (
        "engine",
        &["capability", "bindings", "model", "telemetry", "shutdown"],
    ),
    ("link", &["engine", "model", "telemetry", "shutdown"]),
    ("compose", &["model"]),
    (
        "service",
        &["link", "engine", "manifest", "model", "telemetry", "shutdown"],
    ),
    (
        "gateway",
        &["service", "engine", "model", "telemetry", "shutdown"],
    ),
    ("admin", &["service", "model", "telemetry", "shutdown"]),
    (
        "host",
        &[
            "gateway",
            "admin",
            "service",
            "link",
            "compose",
            "engine",
            "adapter",
            "capability",
            "manifest",
            "model",
            "telemetry",
            "shutdown",
        ],
    ),
    (
        "testing",
        &[
            "host",
            "gateway",
            "service",
            "link",
            "engine",
            "adapter",
            "capability",
            "manifest",
            "model",
            "telemetry",
            "shutdown",
        ],
    ),
    (
        "cli",
        &[
            "host",
            "admin",
            "link",
            "compose",
            "engine",
            "manifest",
            "model",
            "telemetry",
            "shutdown",
        ],
    ),
    ("main", &["cli"]),
];

/// Who sees more than the table says: the place, what it sees, since when, and why.
const EXCEPTIONS: [(&str, &str, &str, &str); 5] = [
    (
        "adapter/variables",
        "manifest",
        "2026-11-21",
        "gives values to the variables that the manifest declares",
    ),
    (
        "adapter/files",
        "manifest",
        "2026-11-21",
        "stages the files that the manifest names",
    ),
    (
        "adapter/otlp",
        "telemetry",
        "2026-11-21",
        "implements the port through which spans leave",
    ),
    (
        "adapter/journal",
        "service",
        "2026-11-21",
        "implements the port of the journal",
    ),
    (
        "cli",
        "adapter",
        "2026-11-21",
        "`--variable NAME=@FILE` is read where all values are read",
    ),
];

/// What stays within a few modules: its name, how it is recognised, and where it may be.
struct Fence {
    name: &'static str,
    is_met: fn(&[Token<'_>], usize) -> bool,
    within: &'static [&'static str],
}

const FENCES: [Fence; 8] = [
    Fence {
        name: "wasmtime",
        is_met: |code, at| {
            matches!(
                word(code, at),
                "wasmtime" | "wasmtime_wasi" | "wasmtime_wasi_http"
            )
        },
        within: &["bindings", "capability", "engine", "link"],
    },
    Fence {
        name: "a database or broker client",
        is_met: |code, at| {
            matches!(
                word(code, at),
                "rusqlite" | "tokio_postgres" | "redis" | "async_nats" | "hyper_rustls" | "tokio_rustls"
            ) && !matches!(before(code, at), "." | "::")
        },
        within: &["adapter"],
    },
    Fence {
        name: "clap",
        is_met: |code, at| word(code, at) == "clap",
        within: &["cli"],
    },
    Fence {
        name: "serde",
        is_met: |code, at| matches!(word(code, at), "serde" | "Serialize" | "Deserialize"),
        within: &[
            "manifest/raw",
            "host/runtime_config",
            "gateway/respond",
            "admin",
            "cli",
            "telemetry/format",
            "adapter/journal",
        ],
    },
    Fence {
        name: "starting a task or a thread",
        is_met: starts_work,
        within: &["shutdown", "adapter/blocking"],
    },
    Fence {
        name: "unsafe",
        is_met: |code, at| word(code, at) == "unsafe",
        within: &["engine/cache", "engine/resident", "adapter/sqlite/database"],
    },
    Fence {
        name: "printing past the log",
        is_met: |code, at| {
            matches!(
                word(code, at),
                "println" | "eprintln" | "print" | "eprint" | "dbg"
            ) && word(code, at + 1) == "!"
        },
        within: &[],
    },
    Fence {
        name: "#[path], which hides where a module is",
        is_met: |code, at| word(code, at) == "path" && before(code, at) == "[" && word(code, at + 1) == "=",
        within: &[],
    },
];

fn word<'a>(code: &[Token<'a>], at: usize) -> &'a str {
    code.get(at).map_or("", |token| token.text)
}

fn before<'a>(code: &[Token<'a>], at: usize) -> &'a str {
    at.checked_sub(1).map_or("", |at| word(code, at))
}

/// By path, or imported. `Tasks::spawn` and `Command::spawn` are methods, and are not meant.
fn starts_work(code: &[Token<'_>], at: usize) -> bool {
    let of = at.checked_sub(2).map_or("", |at| word(code, at));
    match word(code, at) {
        "spawn" | "scope" | "Builder" if before(code, at) == "::" => {
            of == "thread" || (word(code, at) == "spawn" && matches!(of, "tokio" | "task"))
        }
        "spawn" => matches!(before(code, at), "{" | ",") && is_imported(code, at),
        "spawn_blocking" | "spawn_local" | "block_in_place" | "JoinSet" | "LocalSet" => {
            before(code, at) != "fn"
        }
        "Handle" => word(code, at + 1) == "::" && word(code, at + 2).contains("current"),
        _ => false,
    }
}

fn is_imported(code: &[Token<'_>], at: usize) -> bool {
    let statement = code[..at]
        .rsplit(|token| token.text == ";")
        .next()
        .unwrap_or_default();
    statement.iter().any(|token| token.text == "use")
}

fn lies_in(module: &str, place: &str) -> bool {
    module
        .strip_prefix(place)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What the sources of the host do that they may not, one line each.
fn faults(sources: &[Source]) -> Vec<String> {
    let mut faults = Vec::new();
    let modules: BTreeSet<&str> = DIRECTION.iter().map(|(module, _)| *module).collect();
    for source in product(sources) {
        let module = source.module();
        let allowed = match DIRECTION.iter().find(|(name, _)| *name == source.top()) {
            Some((_, allowed)) => *allowed,
            None if module == "lib" => continue,
            None => {
                faults.push(format!(
                    "{}: `{}` has no row in the table",
                    source.path,
                    source.top()
                ));
                continue;
            }
        };
        let code = source.code();
        let tokens = code.tokens();
        for used in used_modules(source, &tokens) {
            let excepted = EXCEPTIONS
                .iter()
                .any(|(place, seen, ..)| lies_in(module, place) && *seen == used.text);
            if !excepted && used.text != source.top() && !allowed.contains(&used.text) {
                let what = if modules.contains(used.text) {
                    "may not see"
                } else {
                    "names no module by"
                };
                faults.push(format!(
                    "{}:{}: {} {what} `{}`",
                    source.path,
                    used.line,
                    source.top(),
                    used.text
                ));
            }
        }
        for fence in &FENCES {
            if fence.within.iter().any(|place| lies_in(module, place)) {
                continue;
            }
            for (at, token) in tokens.iter().enumerate() {
                if (fence.is_met)(&tokens, at) {
                    faults.push(format!("{}:{}: {}", source.path, token.line, fence.name));
                }
            }
        }
    }
    faults
}

/// What holds for every Rust file, of tests too.
fn faults_of_form(source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    let path = &source.path;
    if path.ends_with("mod.rs") {
        faults.push(format!("{path}: write `foo.rs` beside `foo/`"));
    }
    if !source.text.starts_with("//!") {
        faults.push(format!("{path}:1: a file begins with `//!`, what it is for"));
    }
    let lines = source.text.lines().count();
    if lines > 800 {
        faults.push(format!("{path}: {lines} lines, more than 800"));
    }
    let code = source::tokens(&source.text);
    for at in 0..code.len() {
        if word(&code, at) == "ignore" && before(&code, at) == "[" && at >= 2 && word(&code, at - 2) == "#" {
            faults.push(format!("{path}:{}: an ignored test", code[at].line));
        }
    }
    faults
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// All Rust files below a folder of the repository, in order, with paths relative to it.
fn sources(folder: &str) -> Vec<Source> {
    fn collect(folder: &Path, prefix: &str, into: &mut Vec<Source>) {
        let mut entries: Vec<_> = fs::read_dir(folder)
            .expect("the sources are readable")
            .map(|entry| entry.expect("the folder is readable").path())
            .collect();
        entries.sort();
        for path in entries {
            let name = path
                .file_name()
                .expect("an entry has a name")
                .to_string_lossy()
                .into_owned();
            let shown = if prefix.is_empty() {
                name.clone()
            } else {
                format!("{prefix}/{name}")
            };
            if path.is_dir() && name != "target" {
                collect(&path, &shown, into);
            } else if name.ends_with(".rs") {
                let text = fs::read_to_string(&path).expect("a source is text");
                into.push(Source { path: shown, text });
            }
        }
    }
    let mut found = Vec::new();
    collect(&root().join(folder), "", &mut found);
    assert!(!found.is_empty(), "there are no sources in {folder}");
    found
}

fn page() -> String {
    fs::read_to_string(root().join("host/ARCHITECTURE.md")).expect("the page is there")
}

fn assert_none(faults: &[String]) {
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

#[test]
fn modules_see_only_what_the_table_says_and_fences_hold() {
    assert_none(&faults(&sources("host/src")));
}

#[test]
fn every_module_of_the_table_is_there() {
    for (module, _) in DIRECTION {
        let file = root().join(format!("host/src/{module}.rs"));
        assert!(file.is_file(), "{} is in the table and not there", file.display());
    }
}

#[test]
fn every_source_has_the_form_of_the_house() {
    let folders = ["host/src", "components", "tests"];
    let faults: Vec<String> = folders
        .iter()
        .flat_map(|folder| sources(folder).into_iter().map(move |source| (folder, source)))
        .flat_map(|(folder, source)| {
            let faults = faults_of_form(&source);
            faults.into_iter().map(move |fault| format!("{folder}/{fault}"))
        })
        .collect();
    assert_none(&faults);
}

#[test]
fn what_breaks_a_rule_is_found() {
    let bad = [
        (
            "gateway.rs",
            "//! x\nuse crate::adapter::sqlite;\nuse wasmtime::Engine;\nmod inner;\n",
        ),
        (
            "gateway/inner.rs",
            "//! x\nuse super::super::cli;\nuse tokio::{net, spawn};\nfn f() { tokio::spawn(async {}); println!(); }\n",
        ),
        (
            "adapter/other.rs",
            "//! x\nuse crate::{manifest, model};\nuse rusqlite::Connection;\n",
        ),
        ("adapter/files.rs", "//! x\nuse crate::manifest;\n"),
        (
            "engine.rs",
            "//! x\n#[cfg(test)]\nmod tests;\n#[path = \"y.rs\"]\nmod x;\nfn f(t: Tasks) { t.spawn(g()); }\n",
        ),
        ("engine/tests.rs", "use crate::cli;\nuse clap::Parser;\n"),
        (
            "model.rs",
            "#[derive(serde::Serialize)]\nstruct A;\nunsafe fn f() { std::thread::Builder::new(); }\n",
        ),
        ("util.rs", "//! x\n"),
    ];
    let bad: Vec<Source> = bad
        .iter()
        .map(|(path, text)| Source {
            path: (*path).into(),
            text: (*text).into(),
        })
        .collect();
    let expected = [
        "gateway.rs:2: gateway may not see `adapter`",
        "gateway.rs:3: wasmtime",
        "gateway/inner.rs:2: gateway may not see `cli`",
        "gateway/inner.rs:3: starting a task or a thread",
        "gateway/inner.rs:4: starting a task or a thread",
        "gateway/inner.rs:4: printing past the log",
        "adapter/other.rs:2: adapter may not see `manifest`",
        "engine.rs:4: #[path], which hides where a module is",
        "model.rs:1: serde",
        "model.rs:1: serde",
        "model.rs:3: starting a task or a thread",
        "model.rs:3: unsafe",
        "util.rs: `util` has no row in the table",
    ];
    assert_eq!(faults(&bad), expected);

    let ignored = format!("//! x\n#[{}]\n", "ignore");
    for (path, text, fault) in [
        ("a/mod.rs", "//! x\n", "a/mod.rs: write `foo.rs` beside `foo/`"),
        (
            "a.rs",
            "use x;\n",
            "a.rs:1: a file begins with `//!`, what it is for",
        ),
        (
            "a.rs",
            &format!("//! x\n{}", "\n".repeat(800)),
            "a.rs: 801 lines, more than 800",
        ),
        ("a.rs", &ignored, "a.rs:2: an ignored test"),
    ] {
        let source = Source {
            path: path.into(),
            text: text.into(),
        };
        assert_eq!(faults_of_form(&source), [fault]);
    }
}

#[test]
fn the_page_shows_the_same_tables() {
    let page = page();
    let list = |modules: &[&str]| match modules {
        [] => "nothing".to_owned(),
        modules => modules
            .iter()
            .map(|module| format!("`{module}`"))
            .collect::<Vec<_>>()
            .join(", "),
    };
    let rows = DIRECTION
        .iter()
        .map(|(module, sees)| format!("| `{module}` | {} |", list(sees)));
    let exceptions = EXCEPTIONS
        .iter()
        .map(|(place, sees, since, why)| format!("| `{place}` | `{sees}` | {since} | {why} |"));
    for row in rows.chain(exceptions) {
        assert!(
            page.lines().any(|line| line == row),
            "host/ARCHITECTURE.md lacks the row\n{row}"
        );
    }
}

#[test]
fn the_page_is_of_a_length_that_is_read() {
    let lines = page().lines().count();
    assert!(
        lines <= 400,
        "host/ARCHITECTURE.md has {lines} lines, more than 400"
    );
}

#[test]
fn every_file_that_the_page_names_is_there() {
    let page = page();
    let mut named = 0;
    for text in page.split('`').skip(1).step_by(2) {
        let is_path = text.ends_with(".rs") && text != "mod.rs" && !text.contains([' ', '*', '<']);
        if is_path {
            named += 1;
            let found = ["host/src", "tests/integration", "."]
                .iter()
                .any(|base| root().join(base).join(text).is_file());
            assert!(found, "host/ARCHITECTURE.md names {text}, which is not there");
        }
    }
    assert!(named > 20, "the page names {named} files");
}

/// The parts of a cell of the bounds, which may tell of several.
fn parts(cell: &str) -> Vec<&str> {
    cell.split("; ").map(|part| part.trim_matches('`')).collect()
}

#[test]
fn every_bound_of_the_page_is_the_one_in_the_code() {
    let page = page();
    let rows: Vec<Vec<&str>> = page
        .lines()
        .skip_while(|line| !line.starts_with("| bound | value |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let mut bounds = 0;
    for row in rows {
        let [names, values, code, files] = row.as_slice() else {
            panic!("a row of the bounds has four cells: {row:?}")
        };
        let (code, files) = (parts(code), parts(files));
        let counts = [parts(names).len(), parts(values).len()];
        assert!(
            counts == [code.len(); 2],
            "{counts:?} parts in a row of the bounds: {row:?}"
        );
        assert!(
            [1, code.len()].contains(&files.len()),
            "a file for each, or one: {row:?}"
        );
        for (code, file) in code.iter().zip(files.iter().cycle()) {
            let path = root().join("host/src").join(file);
            let text = fs::read_to_string(path).expect("the file of a bound is there");
            assert!(
                text.contains(code),
                "host/src/{file} has no {code:?}: the page is out of date"
            );
            bounds += 1;
        }
    }
    assert!(bounds > 100, "the table has {bounds} bounds");
}
