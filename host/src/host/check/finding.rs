//! What is wrong with an app, or worth a look: a text, its causes, and what to do about it.

use std::fmt;

use crate::model::ServiceName;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The app cannot be served.
    Error,
    /// It can be served, and something is most likely not meant.
    Warning,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Whose it is; `None` for what concerns the app as a whole.
    pub service: Option<ServiceName>,
    /// What it is.
    pub message: String,
    /// Why, from the nearest cause to the last.
    pub causes: Vec<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Finding {
    /// An error with its chain of causes.
    pub(super) fn error(
        service: Option<&ServiceName>,
        error: &(dyn std::error::Error + 'static),
        hint: Option<String>,
    ) -> Self {
        let message = error.to_string();
        let mut causes: Vec<String> = Vec::new();
        let mut next = error.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            // A transparent error says the same as its source, and some say what their source says.
            if !message.ends_with(&text) && causes.last() != Some(&text) {
                causes.push(text);
            }
            next = cause.source();
        }
        Self {
            severity: Severity::Error,
            service: service.cloned(),
            message,
            causes,
            hint,
        }
    }

    /// A warning.
    pub(super) fn warning(
        service: Option<&ServiceName>,
        message: impl Into<String>,
        hint: Option<String>,
    ) -> Self {
        Self {
            severity: Severity::Warning,
            service: service.cloned(),
            message: message.into(),
            causes: Vec::new(),
            hint,
        }
    }

    /// Whether the app cannot be served because of it.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// As the command line prints it: several lines, no line end at the end.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.severity {
            Severity::Error => "error: ",
            Severity::Warning => "warning: ",
        })?;
        f.write_str(&self.message)?;
        for cause in &self.causes {
            write!(f, "\n  caused by: {}", cause.replace('\n', "\n    "))?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Middle);

    #[derive(Debug, thiserror::Error)]
    #[error(transparent)]
    struct Middle(#[from] std::io::Error);

    #[test]
    fn an_error_is_told_with_its_causes_and_each_of_them_once() {
        let error = Outer(Middle(std::io::Error::other("inner\nsecond line")));
        let finding = Finding::error(None, &error, Some("do this".into()));
        assert_eq!(
            finding.to_string(),
            "error: outer\n  caused by: inner\n    second line\nhint: do this"
        );
    }

    #[test]
    fn a_warning_is_a_line_and_what_to_do() {
        let finding = Finding::warning(None, "odd", None);
        assert_eq!(finding.to_string(), "warning: odd");
        assert!(!finding.is_error());
    }
}
