//! Rust source as the rules of the architecture see it: tokens with their lines, without comments, literals and
//! test code. Knows as much of the language as that takes and no more.

use std::collections::BTreeSet;

/// One file below `src`.
pub struct Source {
    /// Relative to `src`, with `/`.
    pub path: String,
    pub text: String,
}

/// A word or a sign of the code, with the line that it stands in, counted from 1.
#[derive(Clone, Copy, Debug)]
pub struct Token<'a> {
    pub line: usize,
    pub text: &'a str,
}

/// The code of a file without its tests, and the names of the modules that only tests have.
pub struct Code {
    text: String,
    pub test_modules: Vec<String>,
}

impl Source {
    /// The path of the module without `.rs`: `gateway/forward`.
    pub fn module(&self) -> &str {
        self.path.strip_suffix(".rs").unwrap_or(&self.path)
    }

    /// The top-level module that the file belongs to.
    pub fn top(&self) -> &str {
        self.module().split('/').next().unwrap_or_default()
    }

    pub fn code(&self) -> Code {
        let blank = blank(&self.text);
        without_tests(blank)
    }
}

impl Code {
    pub fn tokens(&self) -> Vec<Token<'_>> {
        tokens(&self.text)
    }
}

/// Of several files those that are compiled without `cfg(test)`.
pub fn product(sources: &[Source]) -> Vec<&Source> {
    let mut tests = BTreeSet::new();
    for source in sources {
        let folder = match source.path.as_str() {
            "lib.rs" | "main.rs" => String::new(),
            _ => format!("{}/", source.module()),
        };
        let modules = source.code().test_modules;
        tests.extend(modules.into_iter().map(|module| format!("{folder}{module}")));
    }
    let is_test = |module: &str| {
        tests.iter().any(|test| {
            module
                .strip_prefix(test.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    };
    sources
        .iter()
        .filter(|source| !is_test(source.module()))
        .collect()
}

/// The top-level modules that the code names by `crate::`, or by enough `super::` to get there, with their lines.
pub fn used_modules<'a>(source: &Source, tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let depth = match source.path.as_str() {
        "lib.rs" | "main.rs" => 0,
        _ => source.module().split('/').count(),
    };
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
    let mut used = Vec::new();
    // The number of braces that were open where each inline module began.
    let (mut open, mut inline) = (0_usize, Vec::new());
    for at in 0..tokens.len() {
        match text(at) {
            "{" => {
                open += 1;
                if at >= 2 && text(at - 2) == "mod" {
                    inline.push(open);
                }
            }
            "}" => {
                if inline.last() == Some(&open) {
                    inline.pop();
                }
                open = open.saturating_sub(1);
            }
            _ if at > 0 && text(at - 1) == "::" => {}
            "crate" => used.extend(names_after(tokens, at + 1)),
            // The binary is a crate of its own.
            "midplane" if source.path == "main.rs" => used.extend(names_after(tokens, at + 1)),
            "super" => {
                let mut end = at + 1;
                let mut climbed = 1;
                while text(end) == "::" && text(end + 1) == "super" {
                    climbed += 1;
                    end += 2;
                }
                if climbed >= depth + inline.len() {
                    used.extend(names_after(tokens, end));
                }
            }
            _ => {}
        }
    }
    used
}

/// The first names after a `::`: one, or those of a group.
fn names_after<'a>(tokens: &[Token<'a>], at: usize) -> Vec<Token<'a>> {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
    if text(at) != "::" {
        return Vec::new();
    }
    if text(at + 1) != "{" {
        return tokens.get(at + 1).copied().into_iter().collect();
    }
    let (mut names, mut depth) = (Vec::new(), 0_usize);
    for (index, token) in tokens.iter().enumerate().skip(at + 1) {
        match token.text {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," => {}
            _ if depth == 1 && matches!(text(index - 1), "{" | ",") => names.push(*token),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

/// Words, `::`, and every other sign alone.
pub fn tokens(code: &str) -> Vec<Token<'_>> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut tokens = Vec::new();
    let (mut line, mut rest) = (1, code);
    while let Some(first) = rest.chars().next() {
        let length = if is_word(first) {
            rest.find(|c: char| !is_word(c)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        let (text, after) = rest.split_at(length);
        if first == '\n' {
            line += 1;
        } else if !first.is_whitespace() {
            tokens.push(Token { line, text });
        }
        rest = after;
    }
    tokens
}

/// The text with comments and the insides of literals as spaces; every line stays where it is.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let starts = |index: usize, what: &str| what.chars().enumerate().all(|(n, c)| at(index + n) == c);
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut out = String::with_capacity(text.len());
    let mut index = 0;
    while index < chars.len() {
        let end = if starts(index, "//") {
            (index..chars.len())
                .find(|&end| at(end) == '\n')
                .unwrap_or(chars.len())
        } else if starts(index, "/*") {
            let (mut end, mut depth) = (index + 2, 1);
            while depth > 0 && end < chars.len() {
                if starts(end, "/*") {
                    (end, depth) = (end + 2, depth + 1);
                } else if starts(end, "*/") {
                    (end, depth) = (end + 2, depth - 1);
                } else {
                    end += 1;
                }
            }
            end
        } else if at(index) == '"' {
            quoted(&chars, index + 1, '"')
        } else if at(index) == 'r' && (index == 0 || !is_word(at(index - 1)) || at(index - 1) == 'b') {
            let hashes = (index + 1..chars.len())
                .take_while(|&hash| at(hash) == '#')
                .count();
            if at(index + 1 + hashes) != '"' {
                out.push('r');
                index += 1;
                continue;
            }
            let close = format!("\"{}", "#".repeat(hashes));
            let from = index + 2 + hashes;
            let end = (from..chars.len()).find(|&end| starts(end, &close));
            end.map_or(chars.len(), |end| end + close.len())
        } else if at(index) == '\'' && (at(index + 1) == '\\' || at(index + 2) == '\'') {
            quoted(&chars, index + 1, '\'')
        } else {
            out.push(at(index));
            index += 1;
            continue;
        };
        out.extend((index..end).map(|hidden| if at(hidden) == '\n' { '\n' } else { ' ' }));
        index = end;
    }
    out
}

/// Where a literal ends that began before `index`.
fn quoted(chars: &[char], mut index: usize, close: char) -> usize {
    while let Some(&c) = chars.get(index) {
        match c {
            '\\' => index += 2,
            c if c == close => return index + 1,
            _ => index += 1,
        }
    }
    chars.len()
}

/// Blanks every item behind `#[cfg(test)]`.
fn without_tests(mut text: String) -> Code {
    const MARK: &str = "#[cfg(test)]";
    let mut test_modules = Vec::new();
    while let Some(start) = text.find(MARK) {
        let after = start + MARK.len();
        let mut depth = 0_usize;
        let mut end = text.len();
        for (offset, c) in text[after..].char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 && matches!(c, ';' | '}') {
                end = after + offset + 1;
                break;
            }
        }
        let item = &text[after..end];
        let words: Vec<&str> = tokens(item).iter().map(|token| token.text).collect();
        if let [.., "mod", name, ";"] = words.as_slice() {
            test_modules.push((*name).to_owned());
        }
        let hidden: String = text[start..end]
            .chars()
            .map(|c| if c == '\n' { '\n' } else { ' ' })
            .collect();
        text.replace_range(start..end, &hidden);
    }
    Code { text, test_modules }
}

#[test]
fn comments_literals_and_tests_are_no_code() {
    let source = Source {
        path: "a.rs".into(),
        text: r####"//! use crate::one;
            use real::Thing; /* crate::two /* deep */ crate::three */
            fn f<'a>(x: &'a str) -> char { let _ = ("crate::four \" x", r#"a " crate::five"#, b"crate::six"); '"' }
            fn g() { let _ = ('\'', "end"); last() }
            #[cfg(test)]
            #[expect(x)]
            mod tests { use crate::seven; fn f() { } }
            #[cfg(test)]
            pub(crate) mod contract;
            fn after() {}
        "####
            .into(),
    };
    let code = source.code();
    let words: Vec<&str> = code.tokens().iter().map(|token| token.text).collect();
    for word in ["real", "last", "after"] {
        assert!(words.contains(&word), "{word} is code: {words:?}");
    }
    for word in ["crate", "one", "seven", "tests", "contract"] {
        assert!(!words.contains(&word), "{word} is no code: {words:?}");
    }
    assert_eq!(code.test_modules, ["contract"]);
    let line = code
        .tokens()
        .iter()
        .find(|token| token.text == "after")
        .map(|token| token.line);
    assert_eq!(line, Some(10));
}

#[test]
fn modules_are_found_however_they_are_written() {
    let source = Source {
        path: "a/b.rs".into(),
        text: "use crate::one::Thing;\nuse crate::{two, three::{x, y}, four as z};\nuse super::super::five;\n\
               use super::sibling;\nmod inner {\nuse super::super::sibling;\nuse super::super::super::six;\n}\n\
               fn f() { crate::seven::f(); }\npub(crate) fn g() {}\n"
            .into(),
    };
    let code = source.code();
    let used = used_modules(&source, &code.tokens());
    let found: Vec<(usize, &str)> = used.iter().map(|token| (token.line, token.text)).collect();
    assert_eq!(
        found,
        [
            (1, "one"),
            (2, "two"),
            (2, "three"),
            (2, "four"),
            (3, "five"),
            (7, "six"),
            (9, "seven")
        ]
    );
}
