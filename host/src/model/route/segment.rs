//! One segment of a route: fixed text, a name, or names and fixed text with dots between them.

use std::hash::{Hash, Hasher};

use super::RouteError;

/// One part of a segment. A `Named` part is always the last or followed by a `Literal` that starts with a
/// dot.
#[derive(Debug, Clone)]
enum Piece {
    Literal(Box<str>),
    Named(Box<str>),
}

/// What stands between two slashes of a route.
#[derive(Debug, Clone)]
pub(crate) enum Segment {
    /// Matches this text, byte for byte.
    Literal(Box<str>),
    /// Has at least one named part.
    Pattern(SegmentPattern),
}

/// A segment with named parts: `:id`, `:file.json`, `v1.:minor`. Equal if it matches the same texts.
#[derive(Debug, Clone)]
pub(crate) struct SegmentPattern(Box<[Piece]>);

impl Segment {
    /// Parses what stands between two slashes. `names` holds the names so far, as header names.
    pub(super) fn parse(text: &str, names: &mut Vec<String>) -> Result<Self, RouteError> {
        if text.ends_with("...") {
            return Err(RouteError::WildcardInSegment {
                segment: String::from(text),
            });
        }
        let mut pieces: Vec<Piece> = Vec::new();
        for (position, part) in text.split('.').enumerate() {
            let dot = if position == 0 { "" } else { "." };
            if part.starts_with('*') {
                return Err(RouteError::WildcardInSegment {
                    segment: String::from(text),
                });
            }
            match part.strip_prefix(':') {
                None => append(&mut pieces, &[dot, part]),
                Some("") => return Err(RouteError::EmptyName),
                Some(name) => {
                    check_name(name, names)?;
                    append(&mut pieces, &[dot]);
                    pieces.push(Piece::Named(name.into()));
                }
            }
        }
        Ok(match pieces.as_slice() {
            [Piece::Literal(_)] => Self::Literal(text.into()),
            _ => Self::Pattern(SegmentPattern(pieces.into())),
        })
    }

    /// The names of its named parts.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let pieces: &[Piece] = match self {
            Self::Literal(_) => &[],
            Self::Pattern(pattern) => &pattern.0,
        };
        pieces.iter().filter_map(|piece| match piece {
            Piece::Literal(_) => None,
            Piece::Named(name) => Some(&**name),
        })
    }

    /// The named parts of this segment with what they stand for in `text`, a path segment that it matches.
    pub(crate) fn captures<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let pieces: &[Piece] = match self {
            Self::Literal(_) => &[],
            Self::Pattern(pattern) => &pattern.0,
        };
        let mut rest = text;
        pieces.iter().enumerate().filter_map(move |(position, piece)| {
            let (taken, after) = piece.take(position + 1 == pieces.len(), rest)?;
            rest = after;
            match piece {
                Piece::Literal(_) => None,
                Piece::Named(name) => Some((&**name, taken)),
            }
        })
    }
}

impl SegmentPattern {
    /// Whether `text`, a raw segment of a path, has this form. A name may stand for nothing inside of a path
    /// (`//`), but not at its end.
    pub(crate) fn matches(&self, text: &str, ends_path: bool) -> bool {
        let mut rest = text;
        for (position, piece) in self.0.iter().enumerate() {
            if rest.is_empty() && ends_path && matches!(piece, Piece::Named(_)) {
                return false;
            }
            match piece.take(position + 1 == self.0.len(), rest) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
        rest.is_empty()
    }

    /// Whether this is a lone name (`:id`), which any text matches.
    pub(crate) fn is_lone_name(&self) -> bool {
        matches!(&*self.0, [Piece::Named(_)])
    }

    /// The order in which patterns are tried that can match one text: fixed text before a name, part by part,
    /// and of two that agree so far the one that says more.
    pub(crate) fn precedence(&self, other: &Self) -> std::cmp::Ordering {
        let rank = |piece: &Piece| matches!(piece, Piece::Named(_));
        self.0
            .iter()
            .map(rank)
            .zip(other.0.iter().map(rank))
            .map(|(mine, theirs)| mine.cmp(&theirs))
            .find(|order| order.is_ne())
            .unwrap_or_else(|| other.fixed_bytes().cmp(&self.fixed_bytes()))
    }

    fn fixed_bytes(&self) -> usize {
        self.0
            .iter()
            .map(|piece| match piece {
                Piece::Literal(text) => text.len(),
                Piece::Named(_) => 0,
            })
            .sum()
    }
}

impl Piece {
    /// Splits what this part stands for off `text`; `None` if it does not match. A name before another part
    /// ends at the first dot, a name at the end takes the rest.
    fn take<'t>(&self, last: bool, text: &'t str) -> Option<(&'t str, &'t str)> {
        match self {
            Self::Literal(fixed) => text.strip_prefix(&**fixed).map(|rest| ("", rest)),
            Self::Named(_) if last => Some((text, "")),
            Self::Named(_) => text.find('.').and_then(|dot| text.split_at_checked(dot)),
        }
    }
}

/// Adds fixed text, to the fixed part before it if there is one.
fn append(pieces: &mut Vec<Piece>, texts: &[&str]) {
    let text = texts.concat();
    match pieces.last_mut() {
        _ if text.is_empty() => {}
        Some(Piece::Literal(before)) => *before = format!("{before}{text}").into(),
        _ => pieces.push(Piece::Literal(text.into())),
    }
}

fn check_name(name: &str, names: &mut Vec<String>) -> Result<(), RouteError> {
    if !name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    {
        return Err(RouteError::InvalidName {
            name: String::from(name),
        });
    }
    let header = name.to_ascii_lowercase().replace('_', "-");
    if names.contains(&header) {
        return Err(RouteError::DuplicateName {
            name: String::from(name),
        });
    }
    names.push(header);
    Ok(())
}

impl PartialEq for Piece {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Literal(mine), Self::Literal(theirs)) => mine == theirs,
            (Self::Named(_), Self::Named(_)) => true,
            _ => false,
        }
    }
}

impl Hash for Piece {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Literal(text) => Some(text).hash(state),
            Self::Named(_) => None::<&str>.hash(state),
        }
    }
}

impl PartialEq for SegmentPattern {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl PartialEq for Segment {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Literal(mine), Self::Literal(theirs)) => mine == theirs,
            (Self::Pattern(mine), Self::Pattern(theirs)) => mine == theirs,
            _ => false,
        }
    }
}

impl Hash for Segment {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Literal(text) => Ok::<_, &[Piece]>(text).hash(state),
            Self::Pattern(pattern) => Err::<&str, _>(&*pattern.0).hash(state),
        }
    }
}
