//! Entity tags of products, and what an editor expects to overwrite.
//!
//! A tag names everything that a product's representation shows and that can change, so two different
//! representations never share one (RFC 9110, section 8.8.3: strong). An expectation compares the version
//! alone: a sale between an editor's read and write changes the stock, not the text that the editor saw, and
//! must not reject the edit.

use std::fmt;

/// The entity tag of one state of a product, shown without the quotes of HTTP: `3-20-18`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    /// The product's version.
    pub version: u32,
    /// Pieces on hand.
    pub on_hand: u32,
    /// Pieces that can be reserved.
    pub available: u32,
}

impl Tag {
    /// What [`Tag`]'s `Display` wrote; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-').map(|part| part.parse::<u32>().ok());
        let (version, on_hand, available) = (parts.next()??, parts.next()??, parts.next()??);
        let tag = Self {
            version,
            on_hand,
            available,
        };
        (parts.next().is_none() && tag.to_string() == text).then_some(tag)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.version, self.on_hand, self.available)
    }
}

/// Which state of a product a write is meant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Whatever it is (`If-Match: *`).
    Any,
    /// One of the versions that these tags name. Without a tag, none is met.
    OneOf(Vec<Tag>),
}

impl Expected {
    /// Whether a product of this version is what the write is meant for.
    pub fn meets(&self, version: u32) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(tags) => tags.iter().any(|tag| tag.version == version),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: Tag = Tag {
        version: 3,
        on_hand: 20,
        available: 18,
    };

    #[test]
    fn a_tag_is_read_back_and_nothing_else_is() {
        assert_eq!(Tag::parse("3-20-18"), Some(TAG));
        for bad in [
            "",
            "3",
            "3-20",
            "3-20-18-1",
            "03-20-18",
            "+3-20-18",
            "3-20-x",
            "3-20-4294967296",
            "3-20-18 ",
        ] {
            assert_eq!(Tag::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn states_that_look_different_have_different_tags() {
        let others = [
            Tag { version: 4, ..TAG },
            Tag { on_hand: 21, ..TAG },
            Tag { available: 17, ..TAG },
        ];
        for other in others {
            assert_ne!(other.to_string(), TAG.to_string());
        }
    }

    #[test]
    fn an_expectation_looks_at_the_version_alone() {
        let expected = Expected::OneOf(vec![Tag { version: 1, ..TAG }, TAG]);
        assert!(expected.meets(3) && expected.meets(1) && !expected.meets(2));
        assert!(Expected::Any.meets(9));
        assert!(!Expected::OneOf(Vec::new()).meets(1));
    }
}
