//! Guest output: splitting, bounds, panic messages.

use super::{CUT, DROPPED, GuestOutput, MAX_BYTES, MAX_LINE, MAX_LINES, Stream, TAIL};

/// The lines that come of `writes`, the last line unfinished or not.
fn lines(writes: &[&[u8]]) -> Vec<String> {
    let mut output = GuestOutput::new(Stream::Stdout);
    let mut lines = Vec::new();
    for bytes in writes {
        output.write(bytes, |line| lines.push(line.to_owned()));
    }
    output.finish(|line| lines.push(line.to_owned()));
    lines
}

#[test]
fn lines_are_the_same_however_the_writes_are_cut() {
    let text = "one\ntwo ü 🦀\r\n\n  three\nlast".as_bytes();
    let whole = lines(&[text]);
    assert_eq!(whole, ["one", "two ü 🦀", "", "  three", "last"]);
    for at in 0..text.len() {
        let (first, second) = text.split_at(at);
        assert_eq!(lines(&[first, second]), whole, "cut at {at}");
    }
    let single: Vec<&[u8]> = text.chunks(1).collect();
    assert_eq!(lines(&single), whole);
}

#[test]
fn bytes_that_are_no_text_are_replaced() {
    assert_eq!(lines(&[b"a\xff\xfeb\n"]), ["a\u{fffd}\u{fffd}b"]);
}

#[test]
fn a_long_line_is_cut_at_a_letter_and_marked_and_the_next_one_is_whole() {
    let long = format!("{}üüü", "x".repeat(MAX_LINE - 1));
    let marked = format!("{}{CUT}", "x".repeat(MAX_LINE - 1));
    let text = format!("{long}\nnext\n");
    assert_eq!(lines(&[text.as_bytes()]), [marked.as_str(), "next"]);
    let pieces: Vec<&[u8]> = text.as_bytes().chunks(1000).collect();
    assert_eq!(lines(&pieces), [marked.as_str(), "next"]);
    let fitting = "y".repeat(MAX_LINE);
    assert_eq!(lines(&[fitting.as_bytes(), b"\n"]), [fitting.as_str()]);
}

#[test]
fn a_line_that_never_ends_is_logged_when_it_is_cut_and_kept_no_longer() {
    let mut output = GuestOutput::new(Stream::Stdout);
    let mut lines = 0;
    for _ in 0..1000 {
        output.write(&[b'z'; 4096], |_| lines += 1);
        assert!(output.partial.len() <= MAX_LINE);
    }
    assert_eq!(lines, 1);
}

#[test]
fn a_request_is_bounded_in_bytes_and_says_so_once() {
    let line = [b'x'; 1023];
    let mut output = GuestOutput::new(Stream::Stdout);
    let (mut bytes, mut marks) = (0, 0);
    let mut emit = |text: &str| {
        if text == DROPPED {
            marks += 1;
        } else {
            bytes += text.len() + 1;
        }
    };
    for _ in 0..2000 {
        output.write(&line, &mut emit);
        output.write(b"\n", &mut emit);
    }
    output.write(b"unfinished", &mut emit);
    assert_eq!(output.dropped_lines(), 2000 - (MAX_BYTES as u64 / 1024) + 1);
    output.finish(&mut emit);
    assert_eq!(bytes, MAX_BYTES);
    assert_eq!(marks, 1);
}

#[test]
fn a_request_is_bounded_in_lines() {
    let emitted = lines(&[&vec![b'\n'; MAX_LINES + 5]]);
    assert_eq!(emitted.len(), MAX_LINES + 1);
    assert_eq!(emitted.last().unwrap(), DROPPED);
}

#[test]
fn the_next_request_of_an_instance_begins_with_fresh_bounds() {
    let mut output = GuestOutput::new(Stream::Stderr);
    output.write(&vec![b'\n'; MAX_LINES + 5], |_| ());
    output.write(b"panicked at a.rs:1:1:\nold\n", |_| ());
    output.finish(|_| ());
    assert_eq!(output.dropped_lines(), 0);
    assert_eq!(output.panic_message(), None);
    let mut lines = Vec::new();
    output.write(b"new\n", |line| lines.push(line.to_owned()));
    assert_eq!(lines, ["new"]);
}

#[test]
fn the_panic_message_of_a_rust_guest_is_found() {
    let mut output = GuestOutput::new(Stream::Stderr);
    output.write(
        b"before\n\nthread 'main' (1) panicked at src/lib.rs:3:5:\n",
        |_| (),
    );
    output.write("no stock for 'täble'\nreally\n".as_bytes(), |_| ());
    output.write(
        b"note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n",
        |_| (),
    );
    assert_eq!(
        output.panic_message().as_deref(),
        Some("panicked at src/lib.rs:3:5: no stock for 'täble' really")
    );
}

#[test]
fn the_panic_message_is_kept_after_the_output_was_dropped_and_its_memory_is_bounded() {
    let mut output = GuestOutput::new(Stream::Stderr);
    for _ in 0..100 {
        output.write(&[b'x'; 100_000], |_| ());
        output.write(b"short", |_| ());
        assert!(output.tail.len() <= 2 * TAIL);
    }
    output.write(b"\nthread '<unnamed>' panicked at x.rs:1:2:\nboom\n", |_| ());
    assert_eq!(
        output.panic_message().as_deref(),
        Some("panicked at x.rs:1:2: boom")
    );
}

#[test]
fn without_a_panic_there_is_no_message() {
    let mut output = GuestOutput::new(Stream::Stderr);
    output.write(b"just a warning\n", |_| ());
    assert_eq!(output.panic_message(), None);
    let mut stdout = GuestOutput::new(Stream::Stdout);
    stdout.write(b"panicked at x.rs:1:2:\nboom\n", |_| ());
    assert_eq!(stdout.panic_message(), None);
}
