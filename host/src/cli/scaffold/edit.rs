//! Edits of TOML as text: what is not added stays as it is, to the byte.

use std::collections::BTreeSet;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// `text` with `addition` at its end, with the line endings of `text`.
pub(super) fn append(text: &str, addition: &str) -> String {
    let (end, addition) = if text.contains("\r\n") {
        ("\r\n", addition.replace('\n', "\r\n"))
    } else {
        ("\n", addition.to_owned())
    };
    let missing = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        end
    };
    format!("{text}{missing}{addition}")
}

/// The manifest of a Cargo workspace with more members, which come after the others, in the way the others are written.
///
/// # Errors
/// Says why not.
pub(super) fn add_members(text: &str, members: &[String]) -> Result<String, &'static str> {
    const NO_LIST: &str = "its `[workspace]` has no list of `members`";
    let document = DeTable::parse(text).map_err(|_| "it is not valid TOML")?;
    let list = document
        .get_ref()
        .get("workspace")
        .and_then(|workspace| workspace.get_ref().as_table())
        .and_then(|workspace| workspace.get("members"))
        .ok_or(NO_LIST)?;
    let last = match list.get_ref() {
        DeValue::Array(array) => array.iter().last().map(toml::Spanned::span),
        _ => return Err(NO_LIST),
    };
    insert(text, &list.span(), last, members).ok_or(NO_LIST)
}

/// `list` is the whole array with its brackets, `last` its last element.
fn insert(text: &str, list: &Range<usize>, last: Option<Range<usize>>, members: &[String]) -> Option<String> {
    let quoted = || members.iter().map(|member| format!("\"{member}\""));
    let Some(last) = last else {
        let (before, after) = text.split_at_checked(list.start.checked_add(1)?)?;
        return Some(format!(
            "{before}{}{after}",
            quoted().collect::<Vec<_>>().join(", ")
        ));
    };
    let inside = text.get(list.start..last.start)?;
    let own_line = inside
        .rsplit_once('\n')
        .map(|(_, indent)| indent)
        .filter(|indent| indent.chars().all(char::is_whitespace));
    let (before, rest) = text.split_at_checked(last.end)?;
    let Some(indent) = own_line else {
        let added: String = quoted().map(|member| format!(", {member}")).collect();
        return Some(format!("{before}{added}{rest}"));
    };
    // Up to the bracket there are blanks, comments and at most one comma.
    let tail = text.get(last.end..list.end.checked_sub(1)?)?;
    let has_comma = tail
        .lines()
        .any(|line| line.split('#').next().is_some_and(|code| code.contains(',')));
    let comma = if has_comma { "" } else { "," };
    let (kept, rest) = rest.split_at_checked(tail.trim_end().len())?;
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let added: String = quoted().map(|member| format!("{end}{indent}{member},")).collect();
    Some(format!("{before}{comma}{kept}{added}{rest}"))
}

/// Which components of a manifest call others, and which are called by a link.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Calls {
    pub(super) callers: BTreeSet<String>,
    pub(super) callees: BTreeSet<String>,
}

/// Reads the links and dependencies of a manifest, as far as they are written as they should be.
pub(super) fn calls(manifest: &str) -> Calls {
    let document: toml::Table = manifest.parse().unwrap_or_default();
    let components = document.get("component").and_then(toml::Value::as_table);
    let mut calls = Calls::default();
    for (name, component) in components.into_iter().flatten() {
        let table = |value: Option<&toml::Value>| value.and_then(toml::Value::as_table).cloned();
        let links = component
            .get("tool")
            .and_then(|tool| tool.get("midplane")?.get("links"));
        let links = table(links).unwrap_or_default();
        let dependencies = table(component.get("dependencies")).unwrap_or_default();
        if !links.is_empty() || !dependencies.is_empty() {
            calls.callers.insert(name.clone());
        }
        let callees = links
            .values()
            .filter_map(|link| link.as_str().or_else(|| link.get("service")?.as_str()));
        calls.callees.extend(callees.map(str::to_owned));
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(text: &str) -> String {
        let new = add_members(text, &["b".to_owned(), "b/domain".to_owned()]).unwrap();
        let members = |text: &str| {
            let table: toml::Table = text.parse().unwrap();
            let list = table["workspace"]["members"].as_array().unwrap().clone();
            let list: Vec<String> = list.iter().map(|v| v.as_str().unwrap().to_owned()).collect();
            list
        };
        let mut expected = members(text);
        expected.extend(["b".to_owned(), "b/domain".to_owned()]);
        assert_eq!(members(&new), expected, "{new}");
        new
    }

    #[test]
    fn members_are_added_in_the_way_the_others_are_written() {
        let cases = [
            ("members = []", "members = [\"b\", \"b/domain\"]"),
            (
                "members = [\"a\"] # all",
                "members = [\"a\", \"b\", \"b/domain\"] # all",
            ),
            ("members = ['a',]", "members = ['a', \"b\", \"b/domain\",]"),
            (
                "members = [\n    \"a\", # first\n    # done\n]",
                "members = [\n    \"a\", # first\n    # done\n    \"b\",\n    \"b/domain\",\n]",
            ),
            (
                "members = [\n\t\"a\" # first, really\n]",
                "members = [\n\t\"a\", # first, really\n\t\"b\",\n\t\"b/domain\",\n]",
            ),
            (
                "members = [\r\n  \"a\",\r\n]",
                "members = [\r\n  \"a\",\r\n  \"b\",\r\n  \"b/domain\",\r\n]",
            ),
            (
                "members = [ # none\n]",
                "members = [\"b\", \"b/domain\" # none\n]",
            ),
            (
                "members = [\n  \"x\", \"a\"\n]",
                "members = [\n  \"x\", \"a\", \"b\", \"b/domain\"\n]",
            ),
        ];
        for (old, new) in cases {
            let around = |list: &str| format!("# top\n[workspace]\n{list}\nresolver = \"3\" # end\n");
            assert_eq!(added(&around(old)), around(new));
        }
    }

    #[test]
    fn a_workspace_without_a_list_of_members_is_refused() {
        for text in [
            "",
            "[workspace]\n",
            "[package]\nname = \"x\"\n",
            "[workspace]\nmembers = 1\n",
        ] {
            let refused = add_members(text, &["b".to_owned()]).unwrap_err();
            assert_eq!(refused, "its `[workspace]` has no list of `members`", "{text:?}");
        }
        assert_eq!(add_members("[workspace", &[]), Err("it is not valid TOML"));
    }

    #[test]
    fn what_is_appended_keeps_the_line_endings() {
        assert_eq!(append("", "x\n"), "x\n");
        assert_eq!(append("a", "x\n"), "a\nx\n");
        assert_eq!(append("a\r\nb", "x\n"), "a\r\nb\r\nx\r\n");
    }

    #[test]
    fn links_and_dependencies_say_who_calls_whom() {
        let manifest = "[component.a]\nsource = \"a\"\n[component.b.dependencies]\n\"x:y@1.0.0\" = \"1\"\n\
                        [component.c.tool.midplane.links]\n\"x:y/z@1.0.0\" = \"b\"\n\
                        \"x:y/u@1.0.0\" = { service = \"a\", timeout = \"1s\" }\n[component.d.dependencies]\n";
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let (callers, callees) = (names(&["b", "c"]), names(&["a", "b"]));
        assert_eq!(calls(manifest), Calls { callers, callees });
        assert_eq!(calls("[["), Calls::default());
    }
}
