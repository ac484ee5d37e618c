//! The same three components without live links: composed by the host from the manifest's dependencies, as Spin does
//! it, and composed to a file by `midplane compose`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::books::{self, Files, Known};
use super::{Counter, cancel, order, read};
use crate::harness::{Answer, Builder, Finished};
use crate::shop::application::{Shape, manifest, replace};
use crate::shop::client::{at_once, text};
use crate::shop::{get, shop};

const BUYERS: usize = 64;

/// A manifest without one of its tables.
fn without(text: &str, table: &str) -> String {
    let header = format!("[{table}]\n");
    let (before, rest) = text
        .split_once(&header)
        .unwrap_or_else(|| panic!("the manifest no longer has {table}"));
    let rest = rest
        .split_once("\n[")
        .map_or(String::new(), |(_, rest)| format!("[{rest}"));
    format!("{before}{rest}")
}

/// The manifest as Spin sees it: without anything of Midplane.
async fn of_spin() -> String {
    let text = without(
        &manifest(Shape::PerService).await,
        "component.orders.tool.midplane.links",
    );
    let text = without(&text, "component.auth.tool.midplane.limits");
    let text = without(&text, "application.tool.midplane");
    assert!(!text.contains("tool.midplane"), "{text}");
    text
}

/// Buys, runs out, repeats, cancels, over a restart, and has the books checked.
async fn trade(builder: Builder) {
    let counter = Counter::open_with(&builder).await;
    let ada = counter.customer("ada").await;
    let (lamp, rare) = (
        counter.stocked("LAMP", 100).await,
        counter.stocked("RARE", 10).await,
    );
    let mut known = Known::of(&counter).await;
    // One sandbox: nothing goes over a link.
    let calls = async |counter: &Counter| counter.metric("midplane_link_calls_total", &[]).await;
    let first = counter.placed(&ada, "first", &[(&lamp, 3), (&rare, 1)]).await;
    known.told(&first);
    assert_eq!(counter.pieces(&lamp).await, (97, 97));
    assert_eq!(
        counter.placed(&ada, "first", &[(&lamp, 3), (&rare, 1)]).await,
        first
    );
    let short = counter
        .expect(409, order(&ada, "short", &[(&rare, 10)]))
        .await
        .json();
    known.refused(&short);
    counter.expect(401, get("/orders").bearer("x")).await;
    counter
        .expect(404, read(&ada, "019b79d0-2c00-7a3b-9c41-5d0f3a6e8b21"))
        .await;
    counter.expect(403, get("/orders?all=true").bearer(&ada)).await;
    let unknown = order(&ada, "unknown", &[("019b79d0-2c00-7a3b-9c41-5d0f3a6e8b21", 1)]);
    counter.expect(422, unknown).await;

    let buyers = (0..BUYERS).map(|number| {
        let call = order(&ada, &format!("buyer-{number}"), &[(&rare, 1)]);
        counter.send(call)
    });
    let answers = at_once(buyers).await;
    let with = |status: u16| answers.iter().filter(move |answer| answer.status == status);
    assert_eq!(
        (with(201).count(), with(409).count()),
        (9, BUYERS - 9),
        "{answers:#?}"
    );
    with(201).map(Answer::json).for_each(|order| known.told(&order));
    with(409)
        .map(Answer::json)
        .for_each(|problem| known.refused(&problem));
    let cancelled = counter
        .expect(200, cancel(&ada, &text(&first, "id")))
        .await
        .json();
    known.told(&cancelled);
    assert_eq!(counter.pieces(&lamp).await, (100, 100));
    assert_eq!(counter.pieces(&rare).await, (1, 1));
    assert_eq!(calls(&counter).await, None);
    counter.shop.host.stop().await;

    let counter = Counter::open_with(&builder).await;
    assert_eq!(
        counter.expect(200, read(&ada, &text(&first, "id"))).await.json(),
        cancelled
    );
    known.told(&counter.placed(&ada, "last", &[(&rare, 1)]).await);
    let files = Files::of(&counter);
    assert_eq!((&files.auth, &files.catalog), (&files.orders, &files.orders));
    counter.shop.host.stop().await;
    books::agree(&files, &known).await;
    assert_eq!(books::count(&files).await, 3 + BUYERS);
}

#[tokio::test]
async fn without_links_the_dependencies_are_composed_in_and_the_shop_is_the_same() {
    trade(shop().await.manifest(of_spin().await)).await;
}

#[tokio::test]
async fn one_file_made_by_compose_is_the_whole_of_orders() {
    let builder = shop().await;
    let whole = manifest(Shape::PerService).await;
    let builder = builder.file("whole/spin.toml", &whole);
    let folder = builder.folder().to_owned();
    let made = Finished::of(
        &["compose", "orders", "-f", "whole", "-o", "orders.composed.wasm"],
        &folder,
    )
    .await;
    assert!(made.status.success(), "{made:?}");
    for part in ["orders.composed.wasm", "orders → auth", "orders → catalog"] {
        assert!(made.stdout.contains(part), "{made:?}");
    }
    let file = folder.join("orders.composed.wasm");
    // In place of the component and of its dependencies.
    let text = without(&of_spin().await, "component.orders.dependencies");
    let (before, of_orders) = text
        .split_once("[component.orders]")
        .expect("the manifest has the service");
    let line = of_orders
        .lines()
        .find(|line| line.starts_with("source = "))
        .expect("a component has a source");
    let of_orders = replace(
        of_orders,
        line,
        &format!("source = {:?}", file.to_str().expect("the path is text")),
    );
    let text = format!("{before}[component.orders]{of_orders}");
    trade(builder.manifest(text)).await;
}

/// Spin does not resolve the imports of a dependency.
#[tokio::test]
async fn no_service_that_another_depends_on_imports_a_contract() {
    let builder = shop().await.file("spin.toml", manifest(Shape::PerService).await);
    let checked = Finished::of(&["check", "--format", "json"], builder.folder()).await;
    assert!(checked.status.success(), "{checked:?}");
    let app: Value = serde_json::from_str(&checked.stdout).expect("it prints JSON");
    let of = |member: &str| app[member].as_array().expect("the app is listed").iter();
    let links: BTreeSet<_> = of("links")
        .map(|link| (text(link, "caller"), text(link, "callee")))
        .collect();
    let pair = |caller: &str, callee: &str| (caller.to_owned(), callee.to_owned());
    assert_eq!(links, [pair("orders", "auth"), pair("orders", "catalog")].into());
    let mut contracts = 0;
    for service in of("services") {
        let name = text(service, "service");
        let names = |member: &str| {
            let names = service["component"][member]
                .as_array()
                .expect("interfaces are listed");
            names
                .iter()
                .filter_map(Value::as_str)
                .filter(|name| name.starts_with("shop:"))
                .count()
        };
        contracts += names("exports");
        if name != "orders" {
            assert_eq!(names("imports"), 0, "{service:#}");
            assert!(of("links").all(|link| link["caller"] != name.as_str()));
        }
    }
    assert_eq!(contracts, 3, "{app:#}");
}
