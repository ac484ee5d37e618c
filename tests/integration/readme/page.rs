//! Reads a page of Markdown: its fenced blocks, the commands in them, and whether an output is the one shown.

/// A fenced block.
pub struct Block {
    /// The heading of the second level that it stands under.
    pub section: String,
    /// What follows the fence: `console`, `toml` …
    pub kind: String,
    /// The line of its first line, counted from 1.
    pub line: usize,
    pub text: String,
}

impl Block {
    /// The file that the first line, a comment, names.
    pub fn file_name(&self) -> Option<&str> {
        let first = self.text.lines().next()?;
        let name = first.strip_prefix("# ").or_else(|| first.strip_prefix("// "))?;
        name.contains('.').then_some(name)
    }

    /// Each command with its line and its output.
    pub fn commands(&self) -> Vec<(usize, String, String)> {
        let mut commands: Vec<(usize, String, String)> = Vec::new();
        for (offset, line) in self.text.lines().enumerate() {
            match (line.strip_prefix("$ "), commands.last_mut()) {
                (Some(command), _) => commands.push((self.line + offset, command.to_owned(), String::new())),
                (None, Some((_, _, output))) => {
                    output.push_str(line);
                    output.push('\n');
                }
                (None, None) => panic!("README.md:{}: output before a command", self.line + offset),
            }
        }
        commands
    }
}

pub fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    let mut section = String::new();
    for (index, line) in page.lines().enumerate() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(kind), None) => {
                open = Some(Block {
                    section: section.clone(),
                    kind: kind.to_owned(),
                    line: index + 2,
                    text: String::new(),
                });
            }
            (Some(_), Some(block)) => blocks.push(block),
            (None, Some(mut block)) => {
                block.text.push_str(line);
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => {
                if let Some(heading) = line.strip_prefix("## ") {
                    heading.clone_into(&mut section);
                }
            }
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

/// A file as a unified diff changes it: its name and its text, which `read` gives. The hunks must fit where they say that they
/// do. Also how many lines were added.
pub fn patched(diff: &str, read: impl Fn(&str) -> String) -> (Vec<(String, String)>, usize) {
    let mut files: Vec<(String, Vec<String>)> = Vec::new();
    let (mut at, mut added) = (0, 0);
    for line in diff.lines() {
        if let Some(name) = line.strip_prefix("--- ") {
            files.push((name.to_owned(), read(name).lines().map(str::to_owned).collect()));
        } else if let Some(name) = line.strip_prefix("+++ ") {
            assert_eq!(
                files.last().map(|(of, _)| of.as_str()),
                Some(name),
                "the page renames a file"
            );
        } else {
            let (name, lines) = files.last_mut().expect("a diff begins with the name of a file");
            if let Some(hunk) = line.strip_prefix("@@ ") {
                // `-7,2 +7,3 @@`: the second place is the one in the text as it becomes.
                let place = hunk.split(" +").nth(1).and_then(|place| place.split(',').next());
                at = place
                    .and_then(|place| place.parse::<usize>().ok())
                    .expect("a hunk has a place")
                    - 1;
            } else if let Some(line) = line.strip_prefix('+') {
                lines.insert(at, line.to_owned());
                added += 1;
                at += 1;
            } else {
                let there = line.strip_prefix([' ', '-']).unwrap_or(line);
                assert_eq!(
                    lines.get(at).map(String::as_str),
                    Some(there),
                    "line {} of {name}",
                    at + 1
                );
                if line.starts_with('-') {
                    lines.remove(at);
                } else {
                    at += 1;
                }
            }
        }
    }
    let joined = |(name, lines): (String, Vec<String>)| (name, lines.join("\n") + "\n");
    (files.into_iter().map(joined).collect(), added)
}

/// Whether `output` is what `expected` shows: `…` is any text within a line, alone in a line any number of lines. Blank
/// lines and line ends at the end do not count.
pub fn matches(expected: &str, output: &str) -> bool {
    let lines = |text: &str| -> Vec<String> {
        text.trim_end()
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect()
    };
    let (expected, output) = (lines(expected), lines(output));
    lines_match(&expected, &output)
}

fn lines_match(expected: &[String], output: &[String]) -> bool {
    match expected.split_first() {
        None => output.is_empty(),
        Some((first, rest)) if first == "…" => {
            (0..=output.len()).any(|skip| lines_match(rest, &output[skip..]))
        }
        Some((first, rest)) => match output.split_first() {
            Some((line, others)) => line_matches(first, line) && lines_match(rest, others),
            None => false,
        },
    }
}

fn line_matches(expected: &str, line: &str) -> bool {
    let mut parts = expected.split('…');
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else {
        return false;
    };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

#[test]
fn an_ellipsis_stands_for_what_differs_and_for_nothing_else() {
    for (expected, output) in [
        ("a", "a\n"),
        ("", ""),
        ("a…c", "abc"),
        ("{…,\"x\":1,…}", "{\"id\":\"7\",\"x\":1,\"y\":2}"),
        ("a\n…\nz", "a\nb\n\nz\r\n"),
        ("…\nz", "z"),
        ("a\n…", "a"),
    ] {
        assert!(matches(expected, output), "{expected:?} should match {output:?}");
    }
    for (expected, output) in [
        ("a", "b"),
        ("a", ""),
        ("a", "a\nb"),
        ("a…c", "ab"),
        ("a…a", "a"),
        ("…b…", "ac"),
        ("a\n…\nz", "a\nb"),
        ("", "error"),
        ("x…\ny", "x1\nx2\ny"),
    ] {
        assert!(
            !matches(expected, output),
            "{expected:?} should not match {output:?}"
        );
    }
}

#[test]
fn blocks_have_kinds_lines_files_and_commands() {
    let page = "## Part\n```console\n$ one\n1\n2\n$ two\n```\n\n```toml\n# a.toml\nx = 1\n```\n";
    let blocks = blocks(page);
    assert_eq!(blocks.len(), 2);
    assert_eq!(blocks[0].section, "Part");
    assert_eq!(
        blocks[0].commands(),
        [
            (3, "one".into(), "1\n2\n".into()),
            (6, "two".into(), String::new())
        ]
    );
    assert_eq!(
        (blocks[1].kind.as_str(), blocks[1].file_name()),
        ("toml", Some("a.toml"))
    );
}

#[test]
fn a_diff_is_applied_where_it_says() {
    let diff = "--- a\n+++ a\n@@ -1,2 +1,3 @@\n one\n+new\n two\n@@ -4,1 +5,2 @@\n+newer\n four\n";
    let (files, added) = patched(diff, |_| "one\ntwo\nthree\nfour\n".to_owned());
    let text = "one\nnew\ntwo\nthree\nnewer\nfour\n".to_owned();
    assert_eq!((files, added), (vec![("a".to_owned(), text)], 2));

    let diff = "--- a\n+++ a\n@@ -1,3 +1,2 @@\n one\n-two\n-three\n+3\n four\n";
    let (files, added) = patched(diff, |_| "one\ntwo\nthree\nfour\n".to_owned());
    assert_eq!(
        (files, added),
        (vec![("a".to_owned(), "one\n3\nfour\n".to_owned())], 1)
    );
}

#[test]
#[should_panic(expected = "line 1 of a")]
fn a_diff_that_does_not_fit_is_not_applied() {
    patched("--- a\n+++ a\n@@ -1,1 +1,2 @@\n one\n+new\n", |_| {
        "1\n".to_owned()
    });
}
