//! What differs is found, named and placed.

use proptest::prelude::*;

use super::*;
use crate::link::contract::sample::{changed, contract, function, result, ty};

const NAME: &str = "shop:catalog/products@1.0.0";

fn record(fields: &[(&str, Type)]) -> Type {
    Type::Record(
        fields
            .iter()
            .map(|(name, ty)| ((*name).to_owned(), ty.clone()))
            .collect(),
    )
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The one message of two functions that differ.
fn message(wanted: &Function, offered: &Function) -> String {
    let found = mismatches(
        &contract(NAME, &[("get", wanted.clone())]),
        &contract(NAME, &[("get", offered.clone())]),
    );
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].to_string()
}

/// The one message of two functions that return these.
fn results(wanted: Type, offered: Type) -> String {
    message(&function(&[], Some(wanted)), &function(&[], Some(offered)))
}

#[test]
fn the_place_is_named_with_what_was_expected_and_what_was_found() {
    let product = |price| {
        result(
            Some(record(&[("id", Type::String), ("price", price)])),
            Some(Type::String),
        )
    };
    assert_eq!(
        results(product(Type::U64), product(Type::U32)),
        "`get` of `shop:catalog/products@1.0.0`: in the result, ok, record field `price`: expected u64, found u32 \
         (expected `result<record { id: string, price: u64 }, string>`, \
         found `result<record { id: string, price: u32 }, string>`)"
    );
}

#[test]
fn every_kind_of_step_is_named() {
    let place = |wrap: &dyn Fn(Type) -> Type| {
        let text = results(wrap(Type::U8), wrap(Type::U16));
        let (_, text) = text.split_once(": in the result, ").unwrap();
        text.split(':').next().unwrap().to_owned()
    };
    assert_eq!(place(&|ty| Type::List(Box::new(ty))), "list element");
    assert_eq!(place(&|ty| Type::FixedList(Box::new(ty), 4)), "list element");
    assert_eq!(
        place(&|ty| Type::Map(Box::new(ty), Box::new(Type::Bool))),
        "map key"
    );
    assert_eq!(
        place(&|ty| Type::Map(Box::new(Type::Bool), Box::new(ty))),
        "map value"
    );
    assert_eq!(place(&|ty| Type::Tuple(vec![Type::Bool, ty])), "tuple member 2");
    assert_eq!(place(&|ty| record(&[("a", ty)])), "record field `a`");
    assert_eq!(
        place(&|ty| Type::Variant(vec![("a".into(), Some(ty))])),
        "variant case `a`"
    );
    assert_eq!(place(&|ty| Type::Option(Box::new(ty))), "option");
    assert_eq!(place(&|ty| result(Some(ty), None)), "ok");
    assert_eq!(place(&|ty| result(None, Some(ty))), "error");
}

#[test]
fn names_that_differ_are_told_apart() {
    let fields = |names: &[&str]| record(&names.iter().map(|name| (*name, Type::U8)).collect::<Vec<_>>());
    let text = |wanted: &[&str], offered: &[&str]| {
        let text = results(fields(wanted), fields(offered));
        text.split_once("in the result: ").unwrap().1.to_owned()
    };
    assert_eq!(text(&["a", "b"], &["a"]), "expected the field `b` as well");
    assert_eq!(
        text(&["a"], &["a", "b", "c"]),
        "found the fields `b`, `c` beyond what was expected"
    );
    assert_eq!(
        text(&["a", "b"], &["a", "c"]),
        "expected the field `b`, found the field `c`"
    );
    assert_eq!(
        text(&["a", "b"], &["b", "a"]),
        "expected the fields in the order `a`, `b`, found `b`, `a`"
    );
    assert!(
        results(Type::Enum(strings(&["a"])), Type::Enum(strings(&["b"]))).contains("expected the case `a`")
    );
    assert!(
        results(Type::Flags(strings(&["a"])), Type::Flags(strings(&["b"]))).contains("expected the flag `a`")
    );
}

#[test]
fn a_payload_or_a_result_that_is_absent_is_nothing() {
    let case = |payload| Type::Variant(vec![("gone".into(), payload)]);
    assert!(
        results(case(Some(Type::String)), case(None))
            .contains("variant case `gone`: expected string, found nothing")
    );
    assert_eq!(
        message(&function(&[], None), &function(&[], Some(Type::U8))),
        "`get` of `shop:catalog/products@1.0.0`: in the result: expected nothing, found u8"
    );
    assert!(
        results(result(None, None), result(None, Some(Type::U8)))
            .contains("error: expected nothing, found u8")
    );
}

#[test]
fn parameters_are_compared_by_name_order_and_type() {
    let takes = |params: &[(&str, Type)]| function(params, None);
    let text = |wanted: &[(&str, Type)], offered: &[(&str, Type)]| message(&takes(wanted), &takes(offered));
    assert_eq!(
        text(&[("id", Type::String)], &[("id", Type::U64)]),
        "`get` of `shop:catalog/products@1.0.0`: in the parameter `id`: expected string, found u64"
    );
    assert!(
        text(&[("id", Type::String)], &[("name", Type::String)])
            .contains("expected the parameter `id`, found the parameter `name`")
    );
    assert!(
        text(
            &[("a", Type::U8), ("b", Type::U8)],
            &[("b", Type::U8), ("a", Type::U8)]
        )
        .contains("expected the parameters in the order `a`, `b`")
    );
    let list = |ty| Type::List(Box::new(ty));
    assert!(
        text(&[("id", list(Type::U8))], &[("id", list(Type::S8))]).ends_with(
            "in the parameter `id`, list element: expected u8, found s8 \
         (expected `func(id: list<u8>)`, found `func(id: list<s8>)`)"
        )
    );
}

#[test]
fn a_function_that_is_missing_or_of_the_other_kind_is_named_and_one_more_does_no_harm() {
    let plain = function(&[], None);
    let concurrent = Function {
        is_async: true,
        ..plain.clone()
    };
    assert_eq!(
        message(&concurrent, &plain),
        "`get` of `shop:catalog/products@1.0.0`: expected an `async func`, found a `func`"
    );
    let wanted = contract(NAME, &[("get", plain.clone())]);
    let offered = contract(NAME, &[("find", plain.clone()), ("list", plain.clone())]);
    let found = mismatches(&wanted, &offered);
    assert_eq!(
        found[0].to_string(),
        "`get` of `shop:catalog/products@1.0.0` is not exported; `find`, `list` are"
    );
    assert_eq!(
        mismatches(&wanted, &contract(NAME, &[]))[0].to_string(),
        "`get` of `shop:catalog/products@1.0.0` is not exported; no function is"
    );
    let more = contract(NAME, &[("get", plain.clone()), ("find", plain)]);
    assert_eq!(mismatches(&wanted, &more), []);
}

#[test]
fn everything_that_is_wrong_with_a_function_is_reported() {
    let wanted = function(&[("a", Type::U8)], Some(Type::U8));
    let offered = Function {
        is_async: true,
        ..function(&[("a", Type::U16)], Some(Type::U16))
    };
    let found = mismatches(
        &contract(NAME, &[("get", wanted)]),
        &contract(NAME, &[("get", offered)]),
    );
    assert_eq!(found.len(), 3, "{found:?}");
}

/// The ways to which the search for what is unsupported comes.
fn depth_of(ty: &Type) -> usize {
    let mut found = 0;
    search(ty, &mut Vec::new(), &mut |_, _| found += 1);
    found
}

proptest! {
    #[test]
    fn a_type_fits_itself(ty in ty()) {
        let own = contract(NAME, &[("get", function(&[("x", ty.clone())], Some(ty.clone())))]);
        prop_assert_eq!(mismatches(&own, &own), []);
        prop_assert_eq!(unsupported(&own), []);
        prop_assert_eq!(depth_of(&ty), 0);
    }

    #[test]
    fn a_type_with_one_change_does_not_fit((original, changed) in changed()) {
        prop_assert_ne!(&original, &changed);
        for (wanted, offered) in [(&original, &changed), (&changed, &original)] {
            let mut path = Vec::new();
            prop_assert!(part(wanted, offered, &mut path).is_some(), "{wanted:#} and {offered:#}");
            let found = mismatches(
                &contract(NAME, &[("get", function(&[("x", wanted.clone())], Some(wanted.clone())))]),
                &contract(NAME, &[("get", function(&[("x", offered.clone())], Some(offered.clone())))]),
            );
            prop_assert_eq!(found.len(), 2);
            for mismatch in found {
                let text = mismatch.to_string();
                prop_assert!(text.contains("expected") || text.contains("found"), "{}", text);
                prop_assert!(text.len() < 4_000, "{}", text.len());
            }
        }
    }

    #[test]
    fn two_types_part_exactly_if_they_differ(a in ty(), b in ty()) {
        let mut path = Vec::new();
        prop_assert_eq!(part(&a, &b, &mut path).is_none(), a == b);
        prop_assert!(a != b || path.is_empty());
    }

    #[test]
    fn a_type_shown_in_a_message_is_short(ty in ty()) {
        prop_assert!(ty.to_string().chars().count() <= 260);
        let whole = format!("{ty:#}");
        prop_assert!(!whole.contains('…'));
    }
}
