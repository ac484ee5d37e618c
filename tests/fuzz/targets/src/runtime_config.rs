//! Runtime configurations: a fault has a place inside of the text, and what is unrelated does not change them.

use std::path::Path;

use midplane::host::runtime_config::parse;

use crate::Target;
use crate::input::{assert_place, assert_shown, text};

pub(crate) const TARGET: Target = Target {
    name: "runtime_config",
    run: runtime_config,
    cases: 3_000,
    words: &[
        "[[variables_provider]]\n",
        "type = \"env\"\n",
        "type = \"static\"\nvalues = { a = \"secret\" }\n",
        "[key_value_store.default]\ntype = \"spin\"\npath = \"x.db\"\n",
        "[sqlite_database.default]\n",
        "[outbound_networking]\nblock_networks = [\"private\"]\n",
        "[outbound_http]\nmax_connections = 1\n",
        "[midplane]\nmax_instances = 1\n",
        "[midplane.sqlite]\n",
        "max_instance_memory = \"1GiB\"\n",
        "state_dir = \".\"\n",
        "\"\"\"",
        "'''",
        "\u{202e}",
        "\\u001b",
        "-1",
        "99999999999999999999",
    ],
};

/// Reads a runtime configuration.
pub fn runtime_config(data: &[u8]) -> bool {
    let text = text(data);
    let read = |text: &str| parse(text, Path::new("runtime.toml"), Path::new("/etc/app"));
    match read(&text) {
        Ok(config) => {
            for other in [format!("{text}\n\n# the end\n"), format!("# the start\n\n{text}")] {
                assert_eq!(read(&other).as_ref(), Ok(&config), "a comment changed it");
            }
            true
        }
        Err(fault) => {
            assert_place(&text, fault.location.line, fault.location.column);
            assert_shown(&fault.to_string());
            false
        }
    }
}
