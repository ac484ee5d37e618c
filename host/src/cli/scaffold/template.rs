//! The files in `host/templates`, and how they become files of an app.
//!
//! `{{name}}` stands for a value. Lines between a line `{{#uses}}` and its `{{/uses}}` are there once for each service that
//! is called, with its values; lines between `{{?uses}}` and `{{/uses}}` once if there is such a service.

use std::collections::BTreeMap;

const EACH: &str = "{{#uses}}";
const ANY: &str = "{{?uses}}";
const END: &str = "{{/uses}}";

/// A file: its path, which is a template too, and its text.
type File = (&'static str, &'static str);

macro_rules! file {
    ($path:literal, $template:literal) => {
        (
            $path,
            include_str!(concat!("../../../templates/", $template, ".tmpl")),
        )
    };
}

/// What a new app is made of.
pub(super) const APP: &[File] = &[
    file!("spin.toml", "app/spin.toml"),
    file!("README.md", "app/README.md"),
    file!(".gitignore", "app/gitignore"),
    file!("rust-toolchain.toml", "app/rust-toolchain.toml"),
    file!("wit/README.md", "app/wit-README.md"),
    file!("components/Cargo.toml", "app/components-Cargo.toml"),
];

/// The Cargo workspace of a new app's services.
pub(super) const fn workspace() -> &'static str {
    include_str!("../../../templates/app/components-Cargo.toml.tmpl")
}

/// What a service is made of.
pub(super) const SERVICE: &[File] = &[
    file!("wit/{{app}}-{{service}}/{{service}}.wit", "service/contract.wit"),
    file!(
        "components/{{service}}/domain/Cargo.toml",
        "service/domain-Cargo.toml"
    ),
    file!(
        "components/{{service}}/domain/src/lib.rs",
        "service/domain-lib.rs"
    ),
    file!(
        "components/{{service}}/domain/src/memory.rs",
        "service/domain-memory.rs"
    ),
    file!("components/{{service}}/Cargo.toml", "service/Cargo.toml"),
    file!("components/{{service}}/src/lib.rs", "service/lib.rs"),
    file!("components/{{service}}/src/bindings.rs", "service/bindings.rs"),
    file!(
        "components/{{service}}/src/contract.rs",
        "service/src-contract.rs"
    ),
    file!("components/{{service}}/src/http.rs", "service/http.rs"),
    file!("components/{{service}}/src/store.rs", "service/store.rs"),
];

/// What a service has for each service that it calls.
pub(super) const LINK: &[File] = &[
    file!(
        "components/{{service}}/domain/src/{{other_snake}}_client.rs",
        "link/domain-client.rs"
    ),
    file!(
        "components/{{service}}/src/{{other_snake}}_client.rs",
        "link/client.rs"
    ),
];

/// What a service adds to the manifest.
pub(super) const MANIFEST: &str = include_str!("../../../templates/service/spin.toml.tmpl");

/// What the placeholders stand for.
#[derive(Debug, Clone, Default)]
pub(super) struct Values(BTreeMap<&'static str, String>);

impl Values {
    pub(super) fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.0.insert(name, value.into());
    }

    /// These and the other ones.
    pub(super) fn and(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.0
            .extend(other.0.iter().map(|(name, value)| (*name, value.clone())));
        both
    }

    /// `line` with the values in it. A placeholder without a value stays.
    fn write(&self, line: &str, out: &mut String) {
        let mut rest = line;
        while let Some((before, after)) = rest.split_once("{{") {
            out.push_str(before);
            let value = after
                .split_once("}}")
                .and_then(|(name, after)| Some((self.0.get(name)?, after)));
            rest = if let Some((value, after)) = value {
                out.push_str(value);
                after
            } else {
                out.push_str("{{");
                after
            };
        }
        out.push_str(rest);
    }
}

/// The files with the values in them: paths and texts.
pub(super) fn render(files: &[File], values: &Values, uses: &[Values]) -> Vec<(String, String)> {
    files
        .iter()
        .map(|(path, text)| (fill(path, values, uses), fill(text, values, uses)))
        .collect()
}

/// A template with the values in it, and those of each used service where it asks for them.
pub(super) fn fill(template: &str, values: &Values, uses: &[Values]) -> String {
    let lines: Vec<&str> = template.split_inclusive('\n').collect();
    let mut out = String::with_capacity(template.len());
    fill_lines(&lines, values, uses, &mut out);
    out
}

fn fill_lines<'a>(mut lines: &'a [&'a str], values: &Values, uses: &[Values], out: &mut String) {
    while let [line, rest @ ..] = lines {
        lines = rest;
        match line.trim() {
            EACH => {
                let (section, after) = section(rest);
                for one in uses {
                    fill_lines(section, &values.and(one), uses, out);
                }
                lines = after;
            }
            ANY => {
                let (section, after) = section(rest);
                if !uses.is_empty() {
                    fill_lines(section, values, uses, out);
                }
                lines = after;
            }
            _ => values.write(line, out),
        }
    }
}

/// The lines of a section, which began before them, and those that follow its end.
fn section<'a>(lines: &'a [&'a str]) -> (&'a [&'a str], &'a [&'a str]) {
    let mut depth = 0_usize;
    let end = lines.iter().position(|line| match line.trim() {
        EACH | ANY => {
            depth += 1;
            false
        }
        END if depth == 0 => true,
        END => {
            depth -= 1;
            false
        }
        _ => false,
    });
    let (section, after) = lines.split_at(end.unwrap_or(lines.len()));
    (section, after.get(1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&'static str, &str)]) -> Values {
        let mut values = Values::default();
        for (name, value) in pairs {
            values.set(name, *value);
        }
        values
    }

    #[test]
    fn sections_are_there_for_each_used_service_or_once_or_not_at_all() {
        let template = "a {{x}}{{x}} {{y}} {\n{{?uses}}\n  any {{x}}\n  {{#uses}}\n  each {{other}} of {{x}}\n  {{/uses}}\n\
                        {{/uses}}\n{{#uses}}\n{{other}}\n{{/uses}}\nend";
        let own = values(&[("x", "X")]);
        assert_eq!(fill(template, &own, &[]), "a XX {{y}} {\nend");
        let uses = [values(&[("other", "b")]), values(&[("other", "c")])];
        assert_eq!(
            fill(template, &own, &uses),
            "a XX {{y}} {\n  any X\n  each b of X\n  each c of X\nb\nc\nend"
        );
    }

    #[test]
    fn a_value_is_no_template() {
        let own = values(&[("x", "{{y}}"), ("y", "Y")]);
        assert_eq!(fill("{{x}} {{ {{y", &own, &[]), "{{y}} {{ {{y");
    }

    #[test]
    fn every_placeholder_of_every_template_has_a_value() {
        let own = values(&[
            ("app", "a"),
            ("app_snake", "a"),
            ("service", "s"),
            ("service_snake", "s"),
        ]);
        let other = values(&[
            ("other", "o"),
            ("other_snake", "o"),
            ("other_camel", "O"),
            ("other_version", "0.1.0"),
            ("other_source", "o.wasm"),
        ]);
        let app = values(&[("app", "a"), ("app_snake", "a")]);
        let mut texts = render(APP, &app, &[]);
        for uses in [&[][..], &[other.clone(), other.clone()]] {
            texts.extend(render(SERVICE, &own, uses));
            texts.push(("the manifest".to_owned(), fill(MANIFEST, &own, uses)));
        }
        texts.extend(render(LINK, &own.and(&other), &[]));
        assert_eq!(texts.len(), APP.len() + 2 * (SERVICE.len() + 1) + LINK.len());
        for (path, text) in texts {
            for text in [&path, &text] {
                assert!(!text.contains("{{") && !text.contains("}}"), "{path}:\n{text}");
            }
            assert!(text.ends_with('\n'), "{path} has no end of line at its end");
        }
    }
}
