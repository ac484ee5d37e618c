//! Links and dependencies that are accepted, and what they become.

use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::*;

use super::{EVERYTHING, HEAD, LIVE_LINK, parsed, warnings};
use crate::manifest::{App, DependencySource, parse};
use crate::model::{Digest, Inherit, Inheritable};

/// Two components with a trigger each; what follows is for `a`.
const TWO: &str = "[[trigger.http]]\nroute = \"/a\"\ncomponent = \"a\"\n[[trigger.http]]\nroute = \"/b\"\n\
                   component = \"b\"\n[component.b]\nsource = \"b.wasm\"\n[component.a]\nsource = \"a.wasm\"\n";

fn of_a(tail: &str) -> App {
    parsed(&format!("{HEAD}{TWO}{tail}"))
}

fn inherited(tail: &str) -> Vec<Inherit> {
    let app = of_a(tail);
    app.services["a"]
        .dependencies
        .iter()
        .map(|dependency| dependency.inherit.clone())
        .collect()
}

#[test]
fn a_link_and_a_dependency_may_stand_for_the_same_import() {
    let app = parsed(LIVE_LINK);
    let orders = &app.services["orders"];
    let (interface, link) = orders.links.first_key_value().unwrap();
    assert_eq!(interface.to_string(), "shop:catalog/products@1.0.0");
    assert_eq!(link.service.as_str(), "catalog");
    assert_eq!((link.timeout, link.concurrency), (None, None));
    assert_eq!(link.location.to_string(), "/apps/shop/spin.toml:31:1");

    let [dependency] = &orders.dependencies[..] else {
        panic!("{:?}", orders.dependencies)
    };
    assert!(dependency.name.covers(interface));
    assert_eq!(dependency.location.to_string(), "/apps/shop/spin.toml:28:1");
    assert_eq!(
        dependency.source,
        DependencySource::Path(app.services["catalog"].source.clone())
    );
    assert_eq!(
        dependency.inherit,
        Inherit::Some(BTreeSet::from([Inheritable::KeyValueStores]))
    );
    assert!(app.services["catalog"].links.is_empty() && app.services["catalog"].dependencies.is_empty());
}

#[test]
fn a_link_is_a_service_with_its_bounds() {
    let app = parsed(EVERYTHING);
    let shown: Vec<String> = app.services["front-end"]
        .links
        .iter()
        .map(|(interface, link)| {
            let concurrency = link.concurrency.map(std::num::NonZeroU32::get);
            format!("{interface} {} {:?} {concurrency:?}", link.service, link.timeout)
        })
        .collect();
    assert_eq!(
        shown,
        [
            "shop:catalog/products worker None Some(16)",
            "shop:catalog/products@1.0.0 worker None None",
            "shop:catalog/products@2.0.0-rc.1 worker Some(3600s) None",
            "shop:catalog/stock@1.2.0 inline-component Some(500ms) Some(16)",
        ]
    );
}

#[test]
fn a_dependency_is_a_source_and_what_it_inherits() {
    let app = parsed(EVERYTHING);
    let front = &app.services["front-end"].dependencies;
    let shown: Vec<String> = front
        .iter()
        .map(|dependency| {
            let source = match &dependency.source {
                DependencySource::Path(path) => path.display().to_string(),
                DependencySource::Url { url, .. } => url.to_string(),
                DependencySource::Component(name) => format!("the component {name}"),
            };
            format!("{} {source} {:?}", dependency.name, dependency.export)
        })
        .collect();
    assert_eq!(
        shown,
        [
            "shop:catalog@1.0.0 /apps/shop/lib/catalog.wasm None",
            "shop:catalog/products@2.0.0 /opt/products.wasm Some(\"shop:new/products\")",
            "shop:mail the component worker None",
            "my-import https://example.com/my.wasm Some(\"my-export\")",
        ]
    );
    let inherits: Vec<&Inherit> = front.iter().map(|dependency| &dependency.inherit).collect();
    let some = Inherit::Some(BTreeSet::from([
        Inheritable::KeyValueStores,
        Inheritable::AiModels,
    ]));
    assert_eq!(
        inherits,
        [&some, &Inherit::Nothing, &Inherit::All, &Inherit::Nothing]
    );
    assert_eq!(app.services["worker"].dependencies[0].inherit, Inherit::All);

    let DependencySource::Url { digest, .. } = &front[3].source else {
        panic!("{:?}", front[3])
    };
    let half: [u8; 16] = std::array::from_fn(|at| u8::try_from(at * 0x11).unwrap());
    let expected: Vec<u8> = [half, half].concat();
    assert_eq!(*digest, Digest::from_bytes(expected.try_into().unwrap()));
}

#[test]
fn nothing_is_inherited_unless_the_manifest_says_so() {
    const DEPENDENCY: &str = "[component.a.dependencies]\n\"a:b\" = { path = \"x.wasm\"";
    let all = || [Inherit::All];
    for (tail, expected) in [
        (format!("{DEPENDENCY} }}"), [Inherit::Nothing]),
        (
            format!("{DEPENDENCY}, inherit_configuration = [] }}"),
            [Inherit::Nothing],
        ),
        (
            format!("{DEPENDENCY}, inherit_configuration = false }}"),
            [Inherit::Nothing],
        ),
        (format!("{DEPENDENCY}, inherit_configuration = true }}"), all()),
        (
            format!("dependencies_inherit_configuration = true\n{DEPENDENCY} }}"),
            all(),
        ),
        (
            format!("dependencies_inherit_configuration = false\n{DEPENDENCY} }}"),
            [Inherit::Nothing],
        ),
        // `false` is what holds anyway, so it contradicts nothing.
        (
            format!(
                "dependencies_inherit_configuration = false\n{DEPENDENCY}, inherit_configuration = true }}"
            ),
            all(),
        ),
    ] {
        assert_eq!(inherited(&tail), expected, "{tail}");
    }
    let every = Inheritable::ALL
        .map(|part| format!("\"{}\"", part.as_str()))
        .join(", ");
    assert_eq!(
        inherited(&format!("{DEPENDENCY}, inherit_configuration = [{every}] }}")),
        [Inherit::Some(BTreeSet::from(Inheritable::ALL))]
    );
}

#[test]
fn versions_of_two_tracks_stand_beside_each_other() {
    let app = of_a(
        "[component.a.dependencies]\n\"a:b@1.0.0\" = { path = \"1\" }\n\"a:b@2.0.0\" = { path = \"2\" }\n\
         \"a:b/c@0.1.0\" = { path = \"3\" }\n\"a:b/d@0.2.0\" = { path = \"4\" }\n\"c\" = { path = \"5\" }\n\
         [component.a.tool.midplane.links]\n\"a:b/c@1.0.0\" = \"b\"\n\"a:b/c@2.0.0\" = \"b\"\n\
         \"a:b/d@1.0.0\" = \"b\"\n\"a:b/c@0.1.0\" = \"b\"\n\"a:b/c@0.2.0\" = \"b\"\n\"a:b/c\" = \"b\"\n",
    );
    assert_eq!(app.services["a"].dependencies.len(), 5);
    assert_eq!(app.services["a"].links.len(), 6);
}

#[test]
fn links_may_lead_in_a_circle_and_dependencies_meet() {
    let app = of_a(
        "tool.midplane.links = { \"x:y/z\" = \"b\" }\n[component.b.tool.midplane.links]\n\"x:y/z\" = \"a\"\n\
         [component.c]\nsource = \"c\"\n[component.b.dependencies]\n\"c:c\" = { component = \"c\" }\n\
         [component.a.dependencies]\n\"c:c\" = { component = \"c\" }\n\"b:b\" = { component = \"b\" }\n",
    );
    assert_eq!(app.services["a"].dependencies.len(), 2);
    assert_eq!(app.warnings, [], "`c` has users");
}

#[test]
fn an_inline_component_has_links_and_dependencies_like_any_other() {
    let app = of_a(
        "[[trigger.http]]\nid = \"front\"\nroute = \"/c\"\n[trigger.http.component]\nsource = \"c\"\n\
         tool.midplane.links = { \"x:y/z\" = \"a\" }\ndependencies = { \"c:c\" = { component = \"b\" } }\n",
    );
    let inline = &app.services["front-component"];
    assert_eq!((inline.links.len(), inline.dependencies.len()), (1, 1));
}

#[test]
fn inheritance_without_a_dependency_is_warned_about() {
    assert_eq!(
        warnings(&format!("{TWO}dependencies_inherit_configuration = true\n")),
        [
            "spin.toml:13:38: `dependencies_inherit_configuration` gives nothing to anybody: `a` has no \
             dependencies"
        ]
    );
    assert!(warnings(&format!("{TWO}dependencies_inherit_configuration = false\n")).is_empty());
}

/// Keys with their package and the track of their version, told by hand.
const KEYS: [(&str, &str, &str); 14] = [
    ("a:b", "a:b", "any"),
    ("a:b/c", "a:b", "any"),
    ("a:b@1.0.0", "a:b", "1"),
    ("a:b@1.3.2", "a:b", "1"),
    ("a:b/c@1.0.0", "a:b", "1"),
    ("a:b/c@1.3.2", "a:b", "1"),
    ("a:b/d@1.0.0", "a:b", "1"),
    ("a:b/c@2.0.0", "a:b", "2"),
    ("a:b@0.1.1", "a:b", "0.1"),
    ("a:b/c@0.2.0", "a:b", "0.2"),
    ("a:b/c@2.0.0-rc.1", "a:b", "2-rc.1"),
    ("a:x@1.0.0", "a:x", "1"),
    ("a:x/c@1.0.0", "a:x", "1"),
    ("c", "c", "none"),
];

fn are_accepted(table: &str, keys: &[&(&str, &str, &str)], value: &str) -> bool {
    let lines: String = keys
        .iter()
        .map(|(key, ..)| format!("\"{key}\" = {value}\n"))
        .collect();
    parse(
        &format!("{HEAD}{TWO}[component.a.{table}]\n{lines}"),
        Path::new("spin.toml"),
    )
    .is_ok()
}

proptest! {
    #[test]
    fn dependencies_overlap_where_package_and_track_are_the_same(
        keys in proptest::sample::subsequence(&KEYS[..], 0..5).prop_shuffle(),
    ) {
        let keys: Vec<_> = keys.iter().collect();
        let is_clear = keys.iter().enumerate().all(|(at, (_, package, track))| {
            keys[at + 1..].iter().all(|(_, other, other_track)| {
                package != other || (track != other_track && *track != "any" && *other_track != "any")
            })
        });
        prop_assert_eq!(are_accepted("dependencies", &keys, "{ path = \"x.wasm\" }"), is_clear);
    }

    #[test]
    fn links_overlap_where_interface_and_track_are_the_same(
        keys in proptest::sample::subsequence(&KEYS[..], 0..6).prop_shuffle(),
    ) {
        let keys: Vec<_> = keys.iter().filter(|(key, ..)| key.contains('/')).collect();
        let parts: BTreeSet<_> = keys.iter().map(|(key, _, track)| (key.split('@').next(), track)).collect();
        prop_assert_eq!(are_accepted("tool.midplane.links", &keys, "\"b\""), parts.len() == keys.len());
    }
}
