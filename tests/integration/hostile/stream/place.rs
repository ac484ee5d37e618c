//! Frames of wrong sizes, in places and of streams where none may be.

use super::frame::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING, PRIORITY, PUSH_PROMISE,
    RST_STREAM, SETTINGS, WINDOW_UPDATE, WITH_PRIORITY, fields, frame, frame_that_says, get, post, setting,
};
use super::{
    COMPRESSION_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, HEAD, MALFORMED, NO_ERROR, PROTOCOL_ERROR, Row,
    STREAM_CLOSED, Want, replay,
};

const SIZE: &[Want] = &[Want::GoAway(FRAME_SIZE_ERROR), Want::GoAway(PROTOCOL_ERROR)];
const PROTOCOL: &[Want] = &[Want::GoAway(PROTOCOL_ERROR)];
const OK: &[Want] = &[Want::Status(200)];

fn head(block: &[u8]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, 1, block)
}

#[tokio::test]
async fn frames_have_their_sizes_places_and_streams() {
    let hello = || get(1, "/p2/hello");
    let priority = |dependency: u32| [dependency.to_be_bytes().as_slice(), &[16]].concat();
    let rows = vec![
        // What is allowed, odd as it is.
        Row::new(
            "a frame of an unknown kind",
            "RFC 9113 §5.5",
            [frame(0xfa, 0xff, 0, b"odd"), frame(0xfb, 0, 1, b""), hello()].concat(),
            OK,
        ),
        Row::new(
            "an unknown setting",
            "RFC 9113 §6.5.2",
            [frame(SETTINGS, 0, 0, &setting(0xf00d, 1)), hello()].concat(),
            OK,
        ),
        Row::new(
            "a priority of a stream that there is not",
            "RFC 9113 §5.3.2",
            [frame(PRIORITY, 0, 9, &priority(7)), hello()].concat(),
            OK,
        ),
        Row::new(
            "a ping",
            "RFC 9113 §6.7",
            [frame(PING, 0, 0, &[7; 8]), hello()].concat(),
            OK,
        ),
        Row::new(
            "a head in pieces of a byte",
            "RFC 9113 §6.10",
            {
                let block = fields(&[HEAD[0], HEAD[1], HEAD[2], (":path", "/")]);
                // A few: how many are too many is in the floods.
                let (first, rest) = block.split_at(block.len() - 4);
                let mut frames = frame(HEADERS, END_STREAM, 1, first);
                for (number, byte) in rest.iter().enumerate() {
                    let flags = if number == 3 { END_HEADERS } else { 0 };
                    frames.extend(frame(CONTINUATION, flags, 1, &[*byte]));
                }
                frames
            },
            &[Want::Status(404)],
        ),
        Row::new(
            "a goodbye before a request",
            "RFC 9113 §6.8",
            [frame(GOAWAY, 0, 0, &[0; 8]), hello()].concat(),
            &[Want::Status(200), Want::GoAway(NO_ERROR)],
        ),
        // Sizes.
        Row::new(
            "a frame larger than the settings allow",
            "RFC 9113 §4.2",
            frame(DATA, 0, 1, &vec![0; 16_385]),
            SIZE,
        ),
        Row::new(
            "a frame that says 16 MiB",
            "RFC 9113 §4.2",
            frame_that_says(0xff_ffff, HEADERS, END_HEADERS, 1, b"x"),
            SIZE,
        ),
        Row::new(
            "a ping of seven bytes",
            "RFC 9113 §6.7",
            frame(PING, 0, 0, &[0; 7]),
            SIZE,
        ),
        Row::new(
            "settings of five bytes",
            "RFC 9113 §6.5",
            frame(SETTINGS, 0, 0, &[0; 5]),
            SIZE,
        ),
        Row::new(
            "an acknowledgement with settings",
            "RFC 9113 §6.5",
            frame(SETTINGS, ACK, 0, &setting(3, 1)),
            SIZE,
        ),
        Row::new(
            "a reset of three bytes",
            "RFC 9113 §6.4",
            [hello(), frame(RST_STREAM, 0, 1, &[0; 3])].concat(),
            &[
                Want::GoAway(FRAME_SIZE_ERROR),
                Want::GoAway(PROTOCOL_ERROR),
                Want::Status(200),
            ],
        ),
        Row::new(
            "a priority of four bytes",
            "RFC 9113 §6.3",
            frame(PRIORITY, 0, 1, &[0; 4]),
            &[
                Want::Reset,
                Want::GoAway(FRAME_SIZE_ERROR),
                Want::GoAway(PROTOCOL_ERROR),
            ],
        ),
        Row::new(
            "a window update of three bytes",
            "RFC 9113 §6.9",
            frame(WINDOW_UPDATE, 0, 0, &[0; 3]),
            SIZE,
        ),
        Row::new(
            "more padding than frame",
            "RFC 9113 §6.1",
            [
                post(1, "/p2/upload-count", &[]),
                frame(DATA, PADDED, 1, &[200, 0, 0]),
            ]
            .concat(),
            PROTOCOL,
        ),
        Row::new(
            "a head of padding alone",
            "RFC 9113 §6.2",
            frame(HEADERS, END_HEADERS | PADDED, 1, &[255, 0]),
            PROTOCOL,
        ),
        Row::new(
            "a head too short for its priority",
            "RFC 9113 §6.2",
            frame(HEADERS, END_HEADERS | WITH_PRIORITY, 1, &[0, 0]),
            SIZE,
        ),
        // Settings out of range.
        Row::new(
            "a window of 2³¹",
            "RFC 9113 §6.5.2",
            frame(SETTINGS, 0, 0, &setting(4, 1 << 31)),
            &[Want::GoAway(FLOW_CONTROL_ERROR), Want::GoAway(PROTOCOL_ERROR)],
        ),
        Row::new(
            "frames of 100 bytes",
            "RFC 9113 §6.5.2",
            frame(SETTINGS, 0, 0, &setting(5, 100)),
            PROTOCOL,
        ),
        Row::new(
            "frames of 2²⁴ bytes",
            "RFC 9113 §6.5.2",
            frame(SETTINGS, 0, 0, &setting(5, 1 << 24)),
            PROTOCOL,
        ),
        Row::new(
            "pushing as a number",
            "RFC 9113 §6.5.2",
            frame(SETTINGS, 0, 0, &setting(2, 2)),
            PROTOCOL,
        ),
        // Streams.
        Row::new(
            "settings of a stream",
            "RFC 9113 §6.5",
            frame(SETTINGS, 0, 1, &[]),
            PROTOCOL,
        ),
        Row::new(
            "a ping of a stream",
            "RFC 9113 §6.7",
            frame(PING, 0, 1, &[0; 8]),
            PROTOCOL,
        ),
        Row::new(
            "a goodbye of a stream",
            "RFC 9113 §6.8",
            frame(GOAWAY, 0, 1, &[0; 8]),
            PROTOCOL,
        ),
        Row::new(
            "data of no stream",
            "RFC 9113 §6.1",
            frame(DATA, 0, 0, b"x"),
            PROTOCOL,
        ),
        Row::new(
            "a head of no stream",
            "RFC 9113 §6.2",
            get(0, "/p2/never"),
            PROTOCOL,
        ),
        Row::new(
            "a reset of no stream",
            "RFC 9113 §6.4",
            frame(RST_STREAM, 0, 0, &[0; 4]),
            PROTOCOL,
        ),
        Row::new("an even stream", "RFC 9113 §5.1.1", get(2, "/p2/never"), PROTOCOL),
        Row::new(
            "a stream below the last one",
            "RFC 9113 §5.1.1",
            [get(5, "/p2/hello"), get(1, "/p2/never")].concat(),
            &[
                Want::GoAway(PROTOCOL_ERROR),
                Want::GoAway(STREAM_CLOSED),
                Want::Reset,
            ],
        ),
        Row::new(
            "data of an idle stream",
            "RFC 9113 §5.1",
            frame(DATA, END_STREAM, 1, b"x"),
            PROTOCOL,
        ),
        Row::new(
            "a reset of an idle stream",
            "RFC 9113 §6.4",
            frame(RST_STREAM, 0, 1, &[0; 4]),
            PROTOCOL,
        ),
        Row::new(
            "a window for an idle stream",
            "RFC 9113 §5.1",
            frame(WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes()),
            PROTOCOL,
        ),
        Row::new(
            "a second head after the end",
            "RFC 9113 §5.1",
            [hello(), get(1, "/p2/never")].concat(),
            &[
                Want::Reset,
                Want::Status(200),
                Want::GoAway(STREAM_CLOSED),
                Want::GoAway(PROTOCOL_ERROR),
            ],
        ),
        Row::new(
            "data after the end",
            "RFC 9113 §5.1",
            [hello(), frame(DATA, 0, 1, b"x")].concat(),
            &[
                Want::Reset,
                Want::Status(200),
                Want::GoAway(STREAM_CLOSED),
                Want::GoAway(PROTOCOL_ERROR),
            ],
        ),
        Row::new(
            "a push of a client",
            "RFC 9113 §8.4",
            frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2, 0x82]),
            PROTOCOL,
        ),
        Row::new(
            "a stream that depends on itself",
            "RFC 7540 §5.3.1",
            frame(
                HEADERS,
                END_HEADERS | END_STREAM | WITH_PRIORITY,
                1,
                &[priority(1), fields(&HEAD)].concat(),
            ),
            MALFORMED,
        ),
        Row::new(
            "a priority that depends on itself",
            "RFC 7540 §5.3.1",
            [frame(PRIORITY, 0, 1, &priority(1)), hello()].concat(),
            &[Want::Reset, Want::Status(200), Want::GoAway(PROTOCOL_ERROR)],
        ),
        // Windows.
        Row::new(
            "a window of the connection that grows by nothing",
            "RFC 9113 §6.9",
            frame(WINDOW_UPDATE, 0, 0, &[0; 4]),
            PROTOCOL,
        ),
        Row::new(
            "a window of a stream that grows by nothing",
            "RFC 9113 §6.9",
            [
                post(1, "/p2/upload-count", &[]),
                frame(WINDOW_UPDATE, 0, 1, &[0; 4]),
            ]
            .concat(),
            &[Want::Reset, Want::GoAway(PROTOCOL_ERROR)],
        ),
        Row::new(
            "a window of the connection that overflows",
            "RFC 9113 §6.9.1",
            frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffff_u32.to_be_bytes()),
            &[Want::GoAway(FLOW_CONTROL_ERROR)],
        ),
        Row::new(
            "a window of a stream that overflows",
            "RFC 9113 §6.9.1",
            [
                post(1, "/p2/upload-count", &[]),
                frame(WINDOW_UPDATE, 0, 1, &0x7fff_ffff_u32.to_be_bytes()),
            ]
            .concat(),
            &[Want::Reset, Want::GoAway(FLOW_CONTROL_ERROR)],
        ),
        // Header blocks.
        Row::new(
            "another frame between the pieces of a head",
            "RFC 9113 §6.10",
            [
                frame(HEADERS, END_STREAM, 1, &fields(&HEAD)),
                frame(PING, 0, 0, &[0; 8]),
            ]
            .concat(),
            PROTOCOL,
        ),
        Row::new(
            "a piece of another stream's head",
            "RFC 9113 §6.10",
            [
                frame(HEADERS, END_STREAM, 1, &fields(&HEAD)),
                frame(CONTINUATION, END_HEADERS, 3, &[]),
            ]
            .concat(),
            PROTOCOL,
        ),
        Row::new(
            "a piece of no head",
            "RFC 9113 §6.10",
            frame(CONTINUATION, END_HEADERS, 1, &fields(&HEAD)),
            PROTOCOL,
        ),
        Row::new(
            "an index that there is not",
            "RFC 7541 §2.3.3",
            head(&[0xff, 0xff, 0x01]),
            &[Want::GoAway(COMPRESSION_ERROR), Want::GoAway(PROTOCOL_ERROR)],
        ),
        Row::new(
            "the index zero",
            "RFC 7541 §6.1",
            head(&[0x80]),
            &[Want::GoAway(COMPRESSION_ERROR), Want::GoAway(PROTOCOL_ERROR)],
        ),
        Row::new(
            "an integer without end",
            "RFC 7541 §5.1",
            head(&[0xff; 64]),
            &[Want::GoAway(COMPRESSION_ERROR), Want::GoAway(PROTOCOL_ERROR)],
        ),
        Row::new(
            "a string longer than its block",
            "RFC 7541 §5.2",
            head(&[0x10, 0x7f, 0xff, 0xff, 0x01, b'x']),
            &[Want::GoAway(COMPRESSION_ERROR), Want::GoAway(PROTOCOL_ERROR)],
        ),
        Row::new(
            "Huffman's code with a wrong end",
            "RFC 7541 §5.2",
            head(&[0x10, 0x81, 0x00, 0x81, 0x00]),
            &[Want::GoAway(COMPRESSION_ERROR), Want::GoAway(PROTOCOL_ERROR)],
        ),
        Row::new(
            "a table larger than the settings allow",
            "RFC 7541 §6.3",
            head(&[0x3f, 0xff, 0xff, 0x7f]),
            &[Want::GoAway(COMPRESSION_ERROR), Want::GoAway(PROTOCOL_ERROR)],
        ),
    ];
    replay(rows).await;
}
