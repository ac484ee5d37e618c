//! The route of an HTTP trigger: which paths it covers, and what it is called.
//!
//! Owns the syntax of routes (Spin manifest v2): exact paths, `/:name` segments, a trailing `/...` (or `/*`).
//! Hides how a segment with dots (`/:file.json`) is taken apart. Choosing between routes is the router's
//! business.
//!
//! Invariants: a [`RoutePattern`] is valid from the moment it exists, and two of them are equal exactly if
//! they cover the same paths, however they are written. Length is bounded, and with it the depth of any walk.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

mod segment;

pub(crate) use segment::{Segment, SegmentPattern};

/// The longest route that is accepted, in bytes.
pub const MAX_ROUTE_BYTES: usize = 1024;

/// Why a text is not a route.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// `products` or the empty text.
    #[error("a route starts with `/`")]
    NoLeadingSlash,
    /// More than [`MAX_ROUTE_BYTES`].
    #[error("a route has at most {MAX_ROUTE_BYTES} bytes, this one has {bytes}")]
    TooLong {
        /// Length of the refused text.
        bytes: usize,
    },
    /// `/a?b=c` or `/a#b`.
    #[error("a route is a path, so it cannot contain {found:?}: query and fragment are not matched")]
    NotAPath {
        /// `?` or `#`.
        found: char,
    },
    /// A space or a control character.
    #[error("a route cannot contain {found:?}: write it percent-encoded, as clients send it")]
    Character {
        /// The character.
        found: char,
    },
    /// `/.../a` or `/*/a`.
    #[error("a wildcard stands for the rest of the path: nothing can follow `/{wildcard}`")]
    WildcardNotLast {
        /// `...` or `*`.
        wildcard: String,
    },
    /// `/a...`, `/*name` or `/a.*`.
    #[error("a wildcard is a whole segment, `/...`, not part of one as in `/{segment}`")]
    WildcardInSegment {
        /// The whole segment.
        segment: String,
    },
    /// `/:` or `/:.json`.
    #[error("a named segment needs a name after the colon, as in `/:id`")]
    EmptyName,
    /// `/:user name`, `/:é`.
    #[error(
        "the name `:{name}` may only hold ASCII letters, digits, `_` and `-`, since it becomes a header name"
    )]
    InvalidName {
        /// The name without its colon.
        name: String,
    },
    /// `/:id/:id`, or `/:user_id/:user-id`, which become the same header.
    #[error(
        "two segments are named `:{name}` (names are equal if they differ in case or in `-` and `_` only)"
    )]
    DuplicateName {
        /// The second of the two.
        name: String,
    },
}

/// A parsed route. Compares and hashes by the set of paths that it covers: `/a/` equals `/a`, `/*` equals
/// `/...`, `/:a` equals `/:b`. `Display` gives the route as it was written.
#[derive(Debug, Clone)]
pub struct RoutePattern {
    raw: Box<str>,
    segments: Box<[Segment]>,
    wildcard: bool,
}

impl RoutePattern {
    /// Parses a route as the manifest has it. Slashes at the end, and repeated ones, mean nothing, as in
    /// Spin.
    ///
    /// # Errors
    /// [`RouteError`] says what is wrong with the text.
    pub fn parse(raw: &str) -> Result<Self, RouteError> {
        if raw.len() > MAX_ROUTE_BYTES {
            return Err(RouteError::TooLong { bytes: raw.len() });
        }
        if !raw.starts_with('/') {
            return Err(RouteError::NoLeadingSlash);
        }
        if let Some(found) = raw.chars().find(|c| matches!(c, '?' | '#')) {
            return Err(RouteError::NotAPath { found });
        }
        if let Some(found) = raw.chars().find(|c| c.is_whitespace() || c.is_control()) {
            return Err(RouteError::Character { found });
        }

        let mut segments = Vec::new();
        let mut names = Vec::new();
        let mut wildcard = None;
        for text in raw.split('/').filter(|text| !text.is_empty()) {
            if let Some(wildcard) = wildcard {
                return Err(RouteError::WildcardNotLast {
                    wildcard: String::from(wildcard),
                });
            }
            if is_wildcard(text) {
                wildcard = Some(text);
            } else {
                segments.push(Segment::parse(text, &mut names)?);
            }
        }
        Ok(Self {
            raw: raw.into(),
            segments: segments.into(),
            wildcard: wildcard.is_some(),
        })
    }

    /// The route as it was written (`spin-raw-component-route`).
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// The route without slashes at its end (`spin-matched-route`); `/` for the root.
    pub fn matched_route(&self) -> &str {
        match self.raw.trim_end_matches('/') {
            "" => "/",
            route => route,
        }
    }

    /// The route without its wildcard (`spin-component-route`): `/a` for `/a/...`, empty for `/...`.
    pub fn component_route(&self) -> &str {
        let route = self.matched_route();
        match route.rsplit_once('/') {
            Some((prefix, _)) if self.wildcard => prefix,
            _ => route,
        }
    }

    /// Whether the route ends in `/...`.
    pub fn is_wildcard(&self) -> bool {
        self.wildcard
    }

    /// The names of the named parts, from left to right.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().flat_map(Segment::names)
    }

    /// The segments before the wildcard, from left to right.
    pub(crate) fn segments(&self) -> &[Segment] {
        &self.segments
    }
}

fn is_wildcard(segment: &str) -> bool {
    matches!(segment, "..." | "*")
}

impl PartialEq for RoutePattern {
    fn eq(&self, other: &Self) -> bool {
        self.wildcard == other.wildcard && self.segments == other.segments
    }
}

impl Eq for RoutePattern {}

impl Hash for RoutePattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.wildcard.hash(state);
        self.segments.hash(state);
    }
}

impl fmt::Display for RoutePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.raw)
    }
}

impl FromStr for RoutePattern {
    type Err = RouteError;

    fn from_str(raw: &str) -> Result<Self, RouteError> {
        Self::parse(raw)
    }
}

#[cfg(test)]
mod tests;
