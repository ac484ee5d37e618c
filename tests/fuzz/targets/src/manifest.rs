//! Manifests: a fault has a place inside of the text, and what is unrelated to an app does not change it.

use std::path::Path;

use midplane::manifest::{App, Error, parse};
use midplane::model::Digest;

use crate::Target;
use crate::input::{assert_place, assert_shown, text};

pub(crate) const TARGET: Target = Target {
    name: "manifest",
    run: manifest,
    cases: 2_500,
    words: &[
        "[",
        "]]",
        "\n[component.a]\n",
        "\n[[trigger.http]]\n",
        "source = \"a.wasm\"",
        "route = \"/...\"",
        "component = ",
        "[component.a.tool.midplane.limits]\nmemory = \"1MiB\"\n",
        "[component.a.tool.midplane.links]\n",
        "[application.tool.midplane]\n",
        "{{ x }}",
        "= [\"*://*:*\"]",
        "environment = { A = \"b\" }",
        "\"\"\"",
        "'''",
        "\\u0000",
        "\u{feff}",
        "\u{202e}",
        "é",
        "\r\n",
        "18446744073709551616",
    ],
};

/// Reads a manifest.
pub fn manifest(data: &[u8]) -> bool {
    let text = text(data);
    match read(&text) {
        Ok(app) => {
            for other in [format!("{text}\n\n# the end\n"), format!("# the start\n\n{text}")] {
                let again = read(&other).unwrap_or_else(|error| panic!("a comment changed it: {error}"));
                assert_eq!(said(app.clone()), said(again));
            }
            for warning in &app.warnings {
                assert_place(&text, warning.location.line, warning.location.column);
                assert_shown(&warning.message);
            }
            true
        }
        Err(Error::Invalid(fault)) => {
            assert_place(&text, fault.location.line, fault.location.column);
            assert_shown(&fault.to_string());
            false
        }
        Err(error) => panic!("a text that is no file: {error}"),
    }
}

fn read(text: &str) -> Result<App, Error> {
    parse(text, Path::new("/app/spin.toml"))
}

/// All that an app says, without where in the text it says so, and how long that is.
fn said(mut app: App) -> String {
    app.digest = Digest::of(b"");
    let mut said = String::new();
    for part in format!("{app:?}")
        .split("line: ")
        .flat_map(|part| part.split("Text("))
    {
        said.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    said
}
