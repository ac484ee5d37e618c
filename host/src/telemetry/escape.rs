//! Makes text from outside (guest output, paths, panic messages) harmless for terminals and for line-based
//! tools: nothing that moves a cursor, changes a colour, reorders letters or starts a new line passes
//! unescaped.

use std::fmt::Write;

/// Whether `letter` could do more than show: control characters (C0, DEL, C1), line separators and the marks
/// that reorder or hide letters (Unicode technical report 36, section 3).
fn is_hostile(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Appends `text` for people: a tab stays, everything else that is hostile is written as Rust writes it.
pub(super) fn push_text(line: &mut String, text: &str) {
    push(
        line,
        text,
        |letter| is_hostile(letter) && letter != '\t',
        |line, letter| {
            line.extend(letter.escape_default());
        },
    );
}

/// `text` for people, of any number of lines: what is hostile is escaped.
pub(super) fn lines(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            harmless.push('\n');
        }
        push_text(&mut harmless, line);
    }
    harmless
}

/// A JSON text for people: what is hostile can only stand in its strings, and is escaped as JSON does. A parser gets the same
/// from it as before.
pub(super) fn json(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    push(
        &mut harmless,
        text,
        // Between its values there may be white space.
        |letter| is_hostile(letter) && !letter.is_ascii_whitespace(),
        push_json_escape,
    );
    harmless
}

/// All that is hostile is in the first plane, so four digits do.
fn push_json_escape(line: &mut String, letter: char) {
    // Writing to a string does not fail.
    let _ = write!(line, "\\u{:04x}", u32::from(letter));
}

/// Appends `text` as a JSON string (RFC 8259) with its quotes. What is hostile is escaped even where JSON
/// would not ask for it, so that a log shown on a terminal is harmless too; a parser gets the text back as it
/// was.
pub(super) fn push_json(line: &mut String, text: &str) {
    line.push('"');
    push(
        line,
        text,
        |letter| is_hostile(letter) || matches!(letter, '"' | '\\'),
        |line, letter| match letter {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            _ => push_json_escape(line, letter),
        },
    );
    line.push('"');
}

/// Appends runs of text as they are, and leaves the letters that `special` picks to `escape`.
fn push(line: &mut String, text: &str, special: impl Fn(char) -> bool, escape: impl Fn(&mut String, char)) {
    let mut rest = text;
    while let Some((at, letter)) = rest.char_indices().find(|(_, letter)| special(*letter)) {
        let (run, from) = rest.split_at(at);
        line.push_str(run);
        escape(line, letter);
        rest = from.get(letter.len_utf8()..).unwrap_or_default();
    }
    line.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::{lines, push_json, push_text};

    #[test]
    fn lines_stay_and_escapes_do_not() {
        assert_eq!(lines("one\n\ttwo \x1b[2J\r\n"), "one\n\ttwo \\u{1b}[2J\\r\n");
    }

    fn text(text: &str) -> String {
        let mut line = String::new();
        push_text(&mut line, text);
        line
    }

    fn json(text: &str) -> String {
        let mut line = String::new();
        push_json(&mut line, text);
        line
    }

    #[test]
    fn ordinary_text_of_any_language_stays() {
        for ordinary in [
            "",
            "plain",
            "größer \u{1f980} 日本語",
            "tab\there",
            "back\\slash \"quoted\"",
        ] {
            assert_eq!(text(ordinary), ordinary);
        }
    }

    #[test]
    fn terminal_sequences_and_forged_lines_are_shown_not_executed() {
        assert_eq!(text("\x1b[2J\x1b]0;title\x07"), "\\u{1b}[2J\\u{1b}]0;title\\u{7}");
        assert_eq!(text("a\nERROR forged\r\n"), "a\\nERROR forged\\r\\n");
        assert_eq!(text("\u{9b}31m \u{7f}"), "\\u{9b}31m \\u{7f}");
        assert_eq!(text("\u{202e}txt.exe\u{2028}"), "\\u{202e}txt.exe\\u{2028}");
    }

    #[test]
    fn json_gives_back_what_went_in_and_holds_no_raw_control() {
        let every: String = (0..0x3000)
            .filter_map(char::from_u32)
            .chain("\u{feff}\u{1f980}".chars())
            .collect();
        let encoded = json(&every);
        assert_eq!(serde_json::from_str::<String>(&encoded).unwrap(), every);
        assert!(!encoded.contains(super::is_hostile));
    }

    #[test]
    fn a_json_text_means_the_same_when_it_is_harmless() {
        let hostile = "\x1b[2J \u{7f}\u{9b}31m \u{202e}txt \n\t\u{feff}";
        let document = serde_json::json!({ hostile: [hostile, 1] });
        for text in [format!("{document}\n"), format!("{document:#}\n")] {
            let harmless = super::json(&text);
            let read: serde_json::Value = serde_json::from_str(&harmless).unwrap();
            assert_eq!(read, document);
            assert!(!harmless.contains(|letter| super::is_hostile(letter) && letter != '\n'));
        }
    }
}
