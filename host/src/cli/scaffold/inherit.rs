//! What the crates of a service take from the Cargo workspace that they are in.
//!
//! A workspace that `midplane new` made has all of it. In another one a key that is missing would stop Cargo for every crate
//! that is there already, so it is asked for before anything is written.

use toml::de::{DeTable, DeValue};

use super::template;

/// The tables of `[workspace]` that have something to take.
const TABLES: [&str; 3] = ["package", "dependencies", "lints"];

/// The lines that the Cargo workspace `text` lacks, as the templates have them, below the heads of their tables; none if it
/// has everything. What is not valid TOML lacks everything.
pub(super) fn missing(text: &str) -> Vec<String> {
    let own = DeTable::parse(text).ok();
    let own = own.as_ref().map(toml::Spanned::get_ref);
    let template = template::workspace();
    let parsed = DeTable::parse(template).ok();
    let mut lines = Vec::new();
    for name in TABLES {
        let wanted = parsed.as_ref().and_then(|parsed| table(parsed.get_ref(), name));
        let own = own.and_then(|own| table(own, name));
        let mut head = Some(format!("[workspace.{name}]"));
        for (key, value) in wanted.into_iter().flatten() {
            if own.is_some_and(|own| own.contains_key(key.get_ref().as_ref())) {
                continue;
            }
            lines.extend(head.take());
            let value = template.get(value.span()).unwrap_or_default();
            lines.push(format!("{} = {value}", key.get_ref()));
        }
    }
    lines
}

fn table<'t, 's>(document: &'t DeTable<'s>, name: &str) -> Option<&'t DeTable<'s>> {
    let workspace = document.get("workspace")?.get_ref().as_table()?;
    match workspace.get(name)?.get_ref() {
        DeValue::Table(table) => Some(table),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_of_the_templates_lacks_nothing_and_an_empty_one_everything() {
        assert_eq!(missing(template::workspace()), Vec::<String>::new());
        let lines = missing("[workspace]\nmembers = []\n");
        let text: toml::Table = lines.join("\n").parse().unwrap();
        let template: toml::Table = template::workspace().parse().unwrap();
        for name in ["package", "dependencies"] {
            assert_eq!(text["workspace"][name], template["workspace"][name]);
        }
        assert_eq!(missing("oops"), lines);
    }

    #[test]
    fn only_what_is_missing_is_named() {
        let text = template::workspace().replace("futures-executor = \"0.3\"\n", "");
        assert_eq!(
            missing(&text),
            ["[workspace.dependencies]", "futures-executor = \"0.3\""]
        );
        let text = text.replace(
            "[workspace.package]\n",
            "package.version.workspace = true\n[other]\n",
        );
        assert!(missing(&text).contains(&"edition = \"2024\"".to_owned()));
    }

    /// So that [`missing`] looks at everything that there is to look at.
    #[test]
    fn the_crates_of_a_service_take_only_what_the_workspace_of_the_templates_has() {
        let workspace: toml::Table = template::workspace().parse().unwrap();
        let mut taken = 0;
        for (_, text) in template::SERVICE
            .iter()
            .filter(|(path, _)| path.ends_with("Cargo.toml"))
        {
            let text = text.replace("{{service}}", "a").replace("{{app}}", "b");
            let manifest: toml::Table = text.parse().unwrap();
            for (own, table) in [
                ("package", "package"),
                ("dependencies", "dependencies"),
                ("dev-dependencies", "dependencies"),
            ] {
                for (key, value) in manifest
                    .get(own)
                    .and_then(toml::Value::as_table)
                    .into_iter()
                    .flatten()
                {
                    if value.get("workspace").is_some() {
                        taken += 1;
                        assert!(workspace["workspace"][table].get(key).is_some(), "{own}.{key}");
                    }
                }
            }
            assert!(manifest.get("lints").is_none());
        }
        assert_eq!(taken, 12);
    }
}
