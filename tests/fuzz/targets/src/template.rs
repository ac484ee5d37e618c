//! Templates of variables: they are shown as they were written, and filled in as a scan by hand would.

use midplane::manifest::Template;
use midplane::model::VariableName;

use crate::Target;
use crate::input::text;

pub(crate) const TARGET: Target = Target {
    name: "template",
    run: template,
    cases: 10_000,
    words: &[
        "{{", "}}", "{{ a }}", "{{a_b}}", "{", "}", " ", "\t", "\u{a0}", "A", "-", "é",
    ],
};

/// Reads a template and fills it in.
pub fn template(data: &[u8]) -> bool {
    let text = text(data);
    // A value is never read as a template.
    let value = |name: &str| format!("<{name}>{{{{ x }}}}");
    let Ok(template) = Template::parse(&text) else {
        assert_eq!(by_hand(&text, &value), None, "{text:?} was refused");
        return false;
    };
    assert_eq!(template.to_string(), text);
    let filled = template.resolve(&|name| Some(value(name)));
    assert_eq!(filled.ok(), by_hand(&text, &value), "{text:?}");
    assert_eq!(
        template.as_literal().is_some(),
        template.variables().next().is_none()
    );
    if let Some(first) = template.variables().next() {
        let missing = template.resolve(&|_| None).expect_err("no variable has a value");
        assert_eq!(&missing.name, first);
    }
    true
}

fn by_hand(text: &str, value: &dyn Fn(&str) -> String) -> Option<String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(open) = rest.find("{{") {
        let after = &rest[open + 2..];
        let close = after.find("}}")?;
        let name = after[..close].trim();
        VariableName::parse(name).ok()?;
        filled.push_str(&rest[..open]);
        filled.push_str(&value(name));
        rest = &after[close + 2..];
    }
    Some(filled + rest)
}
