//! `midplane add`: a service for an app.

use std::fmt::Write as _;
use std::path::Path;

use clap::Args;

use super::new::{say, shell_word};
use super::scaffold::{self, NewService, Word};
use super::{AppArgs, Failure};

/// Add a service to an app.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  midplane add greetings                   contract, rules, HTTP, SQLite, tests
  midplane add clients --uses greetings    the same, and it calls `greetings` through its contract

The name is an id of the manifest, a crate and a WIT package: lower-case words, separated by hyphens.")]
pub(super) struct Add {
    /// The name of the service.
    service: String,
    /// A service that the new one calls. May be given more than once.
    #[arg(long, value_name = "SERVICE")]
    uses: Vec<String>,
    #[command(flatten)]
    app: AppArgs,
}

impl Add {
    pub(super) fn run(&self, quiet: bool) -> Result<(), Failure> {
        let service = scaffold::add_service(&self.app.from, &self.service, &self.uses)?;
        if !quiet {
            let here = std::env::current_dir().is_ok_and(|here| here == service.directory);
            say(&report(&service, here));
        }
        Ok(())
    }
}

/// What was made, and what to type next. `here`: the app is in the current directory.
fn report(service: &NewService, here: bool) -> String {
    let (app, name) = (&service.app, &service.name);
    let mut text = format!("Added the service `{name}` to the app `{app}`:\n");
    let contract = format!("wit/{app}-{name}/{name}.wit");
    let (domain, component) = (format!("components/{name}/domain"), format!("components/{name}"));
    let manifest = format!("the component, and the route /{name}/...");
    let rows = [
        (contract.as_str(), "what other services may ask of it"),
        (&domain, "its rules, and the ports to what is outside"),
        (&component, "HTTP, the contract, SQLite"),
        ("components/Cargo.toml", "two more members"),
        ("spin.toml", &manifest),
    ];
    let width = rows.iter().map(|(place, _)| place.len()).max().unwrap_or(0);
    for (place, what) in rows {
        let _infallible = writeln!(text, "  {place:width$}  {what}");
    }
    for other in &service.chained {
        let _infallible = writeln!(
            text,
            "note: `{other}`, which it calls, calls others itself; Midplane links them, plain Spin cannot compose them"
        );
    }
    text.push_str("\nNext:\n");
    if !here {
        let _infallible = writeln!(text, "  cd {}", shell_word(&service.directory));
    }
    let url = format!("http://127.0.0.1:3000/{name}/ada");
    let _infallible = write!(
        text,
        "  (cd components && cargo test)\n  midplane up --build\n  curl -X PUT -d 'Hello, Ada' {url}\n  curl {url}\n"
    );
    for other in &service.uses {
        let _infallible = writeln!(text, "  curl {url}/{other}");
    }
    if let Some(caller) = &service.caller {
        text.push_str(&call(app, caller, name));
    }
    text
}

/// How a service that is there already calls the new one.
fn call(app: &Word, caller: &Word, name: &Word) -> String {
    let (app_snake, name_snake) = (app.snake(), name.snake());
    let bindings = scaffold::bindings_file(caller);
    let bindings = Path::new(&bindings).display();
    format!(
        r#"
To call it from another service, `{caller}` for example:
  spin.toml (a table that is there already gets one more line):
    [component.{caller}.dependencies]
    "{app}:{name}@0.1.0" = {{ path = "components/target/wasm32-wasip2/release/{name_snake}.wasm", inherit_configuration = ["sqlite_databases"] }}
    [component.{caller}.tool.midplane.links]
    "{app}:{name}/entries@0.1.0" = "{name}"
  {bindings}, a `path` and an `import`:
    "../../wit/{app}-{name}",
    import {app}:{name}/entries@0.1.0;
  where it is wanted:
    use crate::bindings::{app_snake}::{name_snake}::entries;
    let found = entries::get("ada".to_owned()).await;
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_says_what_was_added_what_comes_next_and_how_others_call_it() {
        let root = tempfile::tempdir().unwrap();
        scaffold::new_app("demo", root.path()).unwrap();

        let first = scaffold::add_service(root.path(), "greetings", &[]).unwrap();
        let text = report(&first, true);
        let expected = "\
Added the service `greetings` to the app `demo`:
  wit/demo-greetings/greetings.wit  what other services may ask of it
  components/greetings/domain       its rules, and the ports to what is outside
  components/greetings              HTTP, the contract, SQLite
  components/Cargo.toml             two more members
  spin.toml                         the component, and the route /greetings/...

Next:
  (cd components && cargo test)
  midplane up --build
  curl -X PUT -d 'Hello, Ada' http://127.0.0.1:3000/greetings/ada
  curl http://127.0.0.1:3000/greetings/ada
";
        assert_eq!(text, expected);

        let second = scaffold::add_service(root.path(), "order-desk", &[]).unwrap();
        let text = report(&second, false);
        assert!(
            text.contains(&format!("  cd {}\n", shell_word(root.path()))),
            "{text}"
        );
        for line in [
            "To call it from another service, `greetings` for example:",
            "    [component.greetings.dependencies]",
            "    \"demo:order-desk@0.1.0\" = { path = \"components/target/wasm32-wasip2/release/order_desk.wasm\", \
             inherit_configuration = [\"sqlite_databases\"] }",
            "    \"demo:order-desk/entries@0.1.0\" = \"order-desk\"",
            "  components/greetings/src/bindings.rs, a `path` and an `import`:",
            "    \"../../wit/demo-order-desk\",",
            "    use crate::bindings::demo::order_desk::entries;",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn the_report_names_what_is_called_and_what_plain_spin_cannot_do() {
        let word = |text| Word::parse(scaffold::Kind::Service, text).unwrap();
        let service = NewService {
            app: word("demo"),
            name: word("clients"),
            directory: "demo".into(),
            uses: vec![word("greetings")],
            chained: vec![word("greetings")],
            caller: None,
        };
        let text = report(&service, true);
        assert!(
            text.contains("note: `greetings`, which it calls, calls others itself"),
            "{text}"
        );
        assert!(
            text.contains("  curl http://127.0.0.1:3000/clients/ada/greetings\n"),
            "{text}"
        );
        assert!(!text.contains("To call it"), "{text}");
    }
}
