//! The catalog's bounded texts. Each type is made by `parse` only, which says the rule that a text breaks.
//!
//! Lengths count Unicode scalar values, not bytes. No text holds a control character, but for line breaks and
//! tabs in a description: what is stored can be logged and shown as it is.

/// Most characters of a SKU.
pub const SKU_MAX: usize = 40;
/// Most characters of a product's name.
pub const NAME_MAX: usize = 120;
/// Most characters of a product's description.
pub const DESCRIPTION_MAX: usize = 2000;
/// Most characters of a category.
pub const CATEGORY_MAX: usize = 40;
/// Most characters of a search text.
pub const SEARCH_MAX: usize = 100;
/// Most words of a search text.
pub const SEARCH_WORDS_MAX: usize = 8;

macro_rules! text {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

text! {
    /// A stock keeping unit: the merchant's own number of a product, unique in the catalog.
    Sku
}
text! {
    /// A product's name: one line.
    Name
}
text! {
    /// What is said about a product; may be empty, may have several lines.
    Description
}
text! {
    /// Where a product is filed: a slug such as `desk-lamps`.
    Category
}

impl Sku {
    /// # Errors
    /// A sentence part that says the rule: 1 to [`SKU_MAX`] characters, `A`–`Z`, `0`–`9`, `.`, `_`, `-`,
    /// beginning with a letter or digit.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fits = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
        let begins = text.starts_with(|c: char| c.is_ascii_uppercase() || c.is_ascii_digit());
        if begins && text.len() <= SKU_MAX && text.chars().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "must be 1 to {SKU_MAX} of A-Z, 0-9, '.', '_' and '-', and begin with a letter or digit"
            ))
        }
    }
}

impl Name {
    /// # Errors
    /// A sentence part that says the rule: 1 to [`NAME_MAX`] characters, one line, no space around it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let length = text.chars().count();
        if length == 0 || length > NAME_MAX {
            Err(format!("must have 1 to {NAME_MAX} characters"))
        } else if text.trim() != text {
            Err("must not begin or end with white space".to_owned())
        } else if text.chars().any(char::is_control) {
            Err("must not contain control characters".to_owned())
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

impl Description {
    /// # Errors
    /// A sentence part that says the rule: at most [`DESCRIPTION_MAX`] characters, no control characters but
    /// line breaks and tabs.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.chars().count() > DESCRIPTION_MAX {
            Err(format!("must have at most {DESCRIPTION_MAX} characters"))
        } else if text
            .chars()
            .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
        {
            Err("must not contain control characters but line breaks and tabs".to_owned())
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

impl Category {
    /// # Errors
    /// A sentence part that says the rule: 1 to [`CATEGORY_MAX`] of `a`–`z`, `0`–`9` and single inner `-`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let word = |word: &str| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        if text.len() <= CATEGORY_MAX && text.split('-').all(word) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "must be 1 to {CATEGORY_MAX} of a-z, 0-9 and single '-' between them, such as desk-lamps"
            ))
        }
    }
}

/// What a buyer types into the search field: every word has to occur in a product's name or description.
/// ASCII letters match in either case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search(Vec<String>);

impl Search {
    /// # Errors
    /// A sentence part that says the rule: 1 to [`SEARCH_MAX`] characters, at most [`SEARCH_WORDS_MAX`]
    /// words, no control characters.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.chars().count() > SEARCH_MAX {
            return Err(format!("must have at most {SEARCH_MAX} characters"));
        }
        if text.chars().any(char::is_control) {
            return Err("must not contain control characters".to_owned());
        }
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        match words.len() {
            0 => Err("must contain a word".to_owned()),
            count if count > SEARCH_WORDS_MAX => Err(format!("must have at most {SEARCH_WORDS_MAX} words")),
            _ => Ok(Self(words)),
        }
    }

    /// The words, in the order typed. Never empty, and no word is.
    pub fn words(&self) -> &[String] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sku_is_upper_case_and_bounded() {
        for good in ["A", "0", "LAMP-01", "A.B_C-9", &"A".repeat(SKU_MAX)] {
            assert_eq!(Sku::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "-A",
            "lamp",
            "A B",
            "A'B",
            "Ä",
            "A\0",
            &"A".repeat(SKU_MAX + 1),
        ] {
            assert!(Sku::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_name_is_one_trimmed_line_counted_in_characters() {
        for good in [
            "x",
            "Großer Topf 🍲",
            "a'; DROP TABLE catalog_products; --",
            &"ß".repeat(NAME_MAX),
        ] {
            assert_eq!(Name::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            " ",
            " x",
            "x\u{a0}",
            "a\nb",
            "a\0b",
            "\u{1b}[31m",
            &"ß".repeat(NAME_MAX + 1),
        ] {
            assert!(Name::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_description_may_be_empty_and_have_lines() {
        for good in ["", "a\r\n\tb", &"é".repeat(DESCRIPTION_MAX)] {
            assert_eq!(Description::parse(good).unwrap().as_str(), good);
        }
        for bad in ["a\0", "\u{7f}", "\u{85}", &"é".repeat(DESCRIPTION_MAX + 1)] {
            assert!(Description::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_category_is_a_slug() {
        for good in ["a", "desk-lamps", "4k-tv", &"a".repeat(CATEGORY_MAX)] {
            assert_eq!(Category::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "-",
            "a-",
            "-a",
            "a--b",
            "A",
            "a b",
            "a/b",
            "ä",
            &"a".repeat(CATEGORY_MAX + 1),
        ] {
            assert!(Category::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_search_is_split_into_words() {
        assert_eq!(
            Search::parse("  oak \u{a0} 100%_\\ ").unwrap().words(),
            ["oak", "100%_\\"]
        );
        let many = "a ".repeat(SEARCH_WORDS_MAX + 1);
        for bad in ["", "  ", "a\0", "a\nb", &many, &"a".repeat(SEARCH_MAX + 1)] {
            assert!(Search::parse(bad).is_err(), "{bad:?}");
        }
    }
}
