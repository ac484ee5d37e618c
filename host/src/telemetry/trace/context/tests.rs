//! The tables of the recommendation, and properties of what is read and written.

use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use super::{Incoming, MAX_STATE_BYTES, TraceContext, TraceState};
use crate::telemetry::trace::id::{SpanId, TraceId};

const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn state(values: &[&str]) -> Option<String> {
    let mut pairs = vec![("traceparent", VALID)];
    pairs.extend(values.iter().map(|value| ("tracestate", *value)));
    Incoming::read(&headers(&pairs))
        .state
        .map(|state| state.as_str().to_owned())
}

#[test]
fn the_example_of_the_recommendation_is_read() {
    let context = TraceContext::parse(VALID.as_bytes()).unwrap();
    assert_eq!(context.trace_id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(context.span_id.to_string(), "00f067aa0ba902b7");
    assert!(context.sampled);
}

#[test]
fn valid_values_are_read_with_their_flag() {
    for (text, sampled) in [
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", false),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02", false),
        // Flags that have no meaning yet do not hide the one that has.
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff", true),
        // A later version, with and without more than this one knows.
        ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true),
        (
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes-next",
            true,
        ),
        ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-", true),
    ] {
        let context = TraceContext::parse(text.as_bytes());
        assert_eq!(context.map(|context| context.sampled), Some(sampled), "{text}");
    }
}

#[test]
fn invalid_values_begin_a_new_trace() {
    for text in [
        "",
        "00",
        "00-",
        // The version that there is not.
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ".0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        // Ids of zeros.
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        // Upper case, wrong digits, wrong lengths.
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00F067AA0BA902B7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e47366-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0G",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        // Other separators.
        "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
        // More than version 00 has, and more than the dash of a later one allows.
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 ",
    ] {
        assert_eq!(TraceContext::parse(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn a_repeated_traceparent_is_none() {
    let twice = headers(&[
        ("traceparent", VALID),
        ("traceparent", VALID),
        ("tracestate", "a=1"),
    ]);
    assert_eq!(Incoming::read(&twice), Incoming::default());
}

#[test]
fn a_state_without_a_valid_parent_is_not_passed_on() {
    assert_eq!(
        Incoming::read(&headers(&[("tracestate", "a=1")])),
        Incoming::default()
    );
    let invalid = headers(&[("traceparent", "00-0-0-01"), ("tracestate", "a=1")]);
    assert_eq!(Incoming::read(&invalid), Incoming::default());
}

#[test]
fn states_are_passed_on_in_order_and_joined() {
    assert_eq!(
        state(&["rojo=00f067aa0ba902b7"]).unwrap(),
        "rojo=00f067aa0ba902b7"
    );
    assert_eq!(state(&["a=1,b@c=2", "", "d/e=3"]).unwrap(), "a=1,b@c=2,d/e=3");
    assert_eq!(state(&["a=1 , ,\tb=2 "]).unwrap(), "a=1 , ,\tb=2 ");
    assert_eq!(state(&[]), None);
    assert_eq!(state(&["", " , "]), None);
}

#[test]
fn a_state_that_is_malformed_or_has_too_many_members_is_dropped_whole() {
    for text in ["a", "=1", "a=", "A=1", "a=1=2", "a b=1", "a=1,b"] {
        assert_eq!(state(&[text]), None, "{text}");
    }
    let members = |count: usize| {
        let all: Vec<_> = (0..count).map(|index| format!("k{index}=v")).collect();
        all.join(",")
    };
    assert_eq!(state(&[&members(32)]), Some(members(32)));
    assert_eq!(state(&[&members(33)]), None);
}

#[test]
fn a_long_state_loses_long_members_first_and_then_the_last() {
    let long = format!("long={}", "x".repeat(200));
    let member = |name: char| format!("{name}={}", "y".repeat(98));
    let short: Vec<_> = "abcdef".chars().map(member).collect();
    let all = format!("{},{long},{}", short[..3].join(","), short[3..].join(","));
    assert!(all.len() > MAX_STATE_BYTES);
    let kept = state(&[&all]).unwrap();
    // Six of 100 bytes with their commas are 605 bytes, five are 504.
    assert_eq!(kept, short[..5].join(","));
    assert!(kept.len() <= MAX_STATE_BYTES);
}

#[test]
fn writing_replaces_what_was_there() {
    let context = TraceContext::parse(VALID.as_bytes()).unwrap();
    let mut map = headers(&[
        ("traceparent", "garbage"),
        ("traceparent", "more"),
        ("tracestate", "old=1"),
        ("other", "stays"),
    ]);
    context.write(None, &mut map);
    assert_eq!(map.get_all("traceparent").iter().collect::<Vec<_>>(), [VALID]);
    assert_eq!(map.get("tracestate"), None);
    assert_eq!(map.get("other").unwrap(), "stays");
    let incoming = Incoming::read(&headers(&[("traceparent", VALID), ("tracestate", "a=1")]));
    context.write(incoming.state.as_ref(), &mut map);
    assert_eq!(Incoming::read(&map), incoming);
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(trace: [u8; 16], span: [u8; 8], sampled: bool) {
        let (Some(trace_id), Some(span_id)) = (TraceId::from_bytes(trace), SpanId::from_bytes(span)) else {
            return Ok(());
        };
        let context = TraceContext { trace_id, span_id, sampled };
        let text = context.to_string();
        prop_assert_eq!(text.len(), 55);
        prop_assert_eq!(TraceContext::parse(text.as_bytes()), Some(context));
    }

    #[test]
    fn no_bytes_are_too_odd_to_be_read(bytes: Vec<u8>) {
        if let Some(context) = TraceContext::parse(&bytes) {
            let written = context.to_string();
            prop_assert_eq!(&written.as_bytes()[3..52], &bytes[3..52]);
        }
    }

    #[test]
    fn one_wrong_byte_is_never_read_as_another_id(at in 0_usize..55, byte: u8) {
        let mut text = VALID.as_bytes().to_vec();
        text[at] = byte;
        if let Some(context) = TraceContext::parse(&text) {
            let written = context.to_string();
            prop_assert_eq!(&written.as_bytes()[3..52], &text[3..52]);
        }
    }

    #[test]
    fn a_state_that_is_passed_on_is_within_the_bound_and_a_part_of_what_came(
        members in prop::collection::vec("[a-z]{1,8}=[!-+.-<>-~]{1,200}", 1..40)
    ) {
        let text = members.join(",");
        if let Some(kept) = state(&[&text]) {
            prop_assert!(kept.len() <= MAX_STATE_BYTES);
            prop_assert!(members.len() <= 32);
            let mut rest = members.iter();
            for member in kept.split(',') {
                prop_assert!(rest.any(|one| one == member), "{} is not of {}", member, text);
            }
        } else {
            prop_assert!(members.len() > 32);
        }
    }
}

#[test]
fn a_state_is_cheap_to_clone() {
    let map = headers(&[("traceparent", VALID), ("tracestate", "a=1")]);
    let TraceState(value) = Incoming::read(&map).state.unwrap();
    assert_eq!(value.as_bytes().as_ptr(), map["tracestate"].as_bytes().as_ptr());
}
