//! The rule, case by case.

use super::*;
use crate::link::contract::sample::{contract, function, result};

fn variant(cases: &[(&str, Option<Type>)]) -> Option<Type> {
    let cases = cases
        .iter()
        .map(|(name, payload)| ((*name).to_owned(), payload.clone()));
    Some(result(Some(Type::U8), Some(Type::Variant(cases.collect()))))
}

/// The cases that carry a time-out, an overload and the rest, `+` for those with a text.
fn cases(ty: Option<Type>) -> String {
    match carrier(ty.as_ref()) {
        Carrier::String => "string".into(),
        Carrier::None => "none".into(),
        Carrier::Case {
            timeout,
            overloaded,
            unavailable,
        } => [timeout, overloaded, unavailable]
            .map(|slot| match slot {
                Some(slot) if slot.with_text => format!("{}+", slot.case),
                Some(slot) => slot.case.to_owned(),
                None => "-".to_owned(),
            })
            .join(" "),
    }
}

#[test]
fn only_a_result_with_an_error_carries_anything() {
    assert_eq!(cases(None), "none");
    assert_eq!(cases(Some(Type::String)), "none");
    assert_eq!(cases(Some(result(Some(Type::String), None))), "none");
    assert_eq!(cases(Some(result(None, Some(Type::U32)))), "none");
    assert_eq!(cases(Some(result(None, Some(Type::String)))), "string");
    let nested = Type::Option(Box::new(result(None, Some(Type::String))));
    assert_eq!(cases(Some(nested)), "none");
}

#[test]
fn a_failure_goes_to_the_case_of_its_name_and_otherwise_to_unavailable() {
    let text = || Some(Type::String);
    assert_eq!(
        cases(variant(&[("not-found", None), ("unavailable", text())])),
        "unavailable+ unavailable+ unavailable+"
    );
    assert_eq!(
        cases(variant(&[("unavailable", None), ("timeout", text())])),
        "timeout+ unavailable unavailable"
    );
    assert_eq!(
        cases(variant(&[
            ("overloaded", None),
            ("timeout", None),
            ("unavailable", None)
        ])),
        "timeout overloaded unavailable"
    );
    assert_eq!(cases(variant(&[("timeout", None)])), "timeout - -");
    assert_eq!(cases(variant(&[("not-found", None)])), "none");
}

#[test]
fn a_case_with_a_payload_that_is_no_string_does_not_count() {
    assert_eq!(cases(variant(&[("unavailable", Some(Type::U8))])), "none");
    assert_eq!(
        cases(variant(&[("timeout", Some(Type::U64)), ("unavailable", None)])),
        "unavailable unavailable unavailable"
    );
}

#[test]
fn an_enum_carries_without_a_text() {
    let names = |names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Some(result(None, Some(Type::Enum(names))))
    };
    assert_eq!(
        cases(names(&["bad", "unavailable", "overloaded"])),
        "unavailable overloaded unavailable"
    );
    assert_eq!(cases(names(&["bad"])), "none");
    let flags = Some(result(None, Some(Type::Flags(vec!["unavailable".into()]))));
    assert_eq!(cases(flags), "none");
}

#[test]
fn functions_that_cannot_tell_of_a_failure_are_warned_of() {
    let contract = contract(
        "shop:a/b@1.0.0",
        &[
            ("fine", function(&[], Some(result(None, Some(Type::String))))),
            ("nothing", function(&[], None)),
            ("no-error", function(&[], Some(result(Some(Type::U8), None)))),
            ("no-case", function(&[], variant(&[("bad", None)]))),
            ("some", function(&[], variant(&[("timeout", None)]))),
        ],
    );
    let texts: Vec<String> = warnings(&contract).iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "`no-case` has an error type without a case `unavailable`",
            "`no-error` returns a `result` without an error type",
            "`nothing` returns no `result`",
            "`some` has an error type with no usable case for `overloaded`, `unavailable`",
        ]
    );
}
