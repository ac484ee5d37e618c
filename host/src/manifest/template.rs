//! Texts with `{{ name }}` in them, as Spin has them in a component's `variables` and `allowed_outbound_hosts`.
//!
//! A name is a variable of the app. There is no escape: `{{` always opens an expression, a `}}` that closes none
//! is text (so that JSON can stand in a variable).

use std::fmt;

use crate::model::{NameError, VariableName};

/// A parsed template. `Display` gives the text that it was parsed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Variable(VariableName),
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// `{{` without `}}`.
    #[error("`{{{{` without `}}}}`")]
    Unclosed,
    /// What stands between the braces is not the name of a variable.
    #[error("{name:?} between `{{{{` and `}}}}` is no name of a variable: {reason}")]
    Name {
        /// What stands there.
        name: String,
        /// The rule that it breaks.
        reason: NameError,
    },
}

/// A variable of a template that has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the variable `{name}` has no value")]
pub struct UnresolvedVariable {
    /// The variable.
    pub name: VariableName,
}

impl Template {
    /// Parses `text`.
    ///
    /// # Errors
    /// [`TemplateError`] for an expression without an end and for one that is no name.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut segments = Vec::new();
        let mut rest = text;
        while let Some((literal, expression)) = rest.split_once("{{") {
            let (name, after) = expression.split_once("}}").ok_or(TemplateError::Unclosed)?;
            if !literal.is_empty() {
                segments.push(Segment::Literal(literal.to_owned()));
            }
            let name = name.trim();
            let name = VariableName::parse(name).map_err(|reason| TemplateError::Name {
                name: super::error::shorten(name),
                reason,
            })?;
            segments.push(Segment::Variable(name));
            rest = after;
        }
        if !rest.is_empty() {
            segments.push(Segment::Literal(rest.to_owned()));
        }
        Ok(Self {
            text: text.to_owned(),
            segments,
        })
    }

    /// The variables that it names, in order, repeated ones repeated.
    pub fn variables(&self) -> impl Iterator<Item = &VariableName> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Variable(name) => Some(name),
            Segment::Literal(_) => None,
        })
    }

    /// The text, where it names no variable.
    #[must_use]
    pub fn as_literal(&self) -> Option<&str> {
        self.variables().next().is_none().then_some(self.text.as_str())
    }

    /// The text with every variable replaced by what `value` gives for its name.
    ///
    /// # Errors
    /// [`UnresolvedVariable`] names the first variable that `value` has nothing for.
    pub fn resolve(&self, value: &dyn Fn(&str) -> Option<String>) -> Result<String, UnresolvedVariable> {
        let mut resolved = String::with_capacity(self.text.len());
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => resolved.push_str(text),
                Segment::Variable(name) => {
                    let value =
                        value(name.as_str()).ok_or_else(|| UnresolvedVariable { name: name.clone() })?;
                    resolved.push_str(&value);
                }
            }
        }
        Ok(resolved)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str) -> String {
        let values = |name: &str| match name {
            "host" => Some("example.com".to_owned()),
            "braces" => Some("{{ host }}".to_owned()),
            _ => None,
        };
        Template::parse(text).unwrap().resolve(&values).unwrap()
    }

    #[test]
    fn variables_are_replaced_and_everything_else_stays() {
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("{{host}}", "example.com"),
            (
                "https://{{ host }}:{{\thost }}/x",
                "https://example.com:example.com/x",
            ),
            ("{ host } }} {", "{ host } }} {"),
            (r#"{"a":{"b":1}}"#, r#"{"a":{"b":1}}"#),
            (r"\{{ host }}", r"\example.com"),
        ] {
            assert_eq!(resolve(text), expected, "{text}");
        }
    }

    #[test]
    fn a_value_is_not_a_template() {
        assert_eq!(resolve("{{ braces }}"), "{{ host }}");
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        assert_eq!(Template::parse("a {{ host"), Err(TemplateError::Unclosed));
        assert_eq!(Template::parse("{{"), Err(TemplateError::Unclosed));
        for bad in [
            "{{}}",
            "{{ a b }}",
            "{{ Host }}",
            "{{ a-b }}",
            "{{{ host }}}",
            "{{ {{ host }} }}",
        ] {
            assert!(
                matches!(Template::parse(bad), Err(TemplateError::Name { .. })),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_variable_without_value_is_named() {
        let template = Template::parse("{{ host }}{{ nope }}").unwrap();
        let error = template
            .resolve(&|name| (name == "host").then(String::new))
            .unwrap_err();
        assert_eq!(error.name.as_str(), "nope");
        assert_eq!(template.as_literal(), None);
        assert_eq!(
            template.variables().map(VariableName::as_str).collect::<Vec<_>>(),
            ["host", "nope"]
        );
    }
}
