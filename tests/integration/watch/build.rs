//! Sources and components: what is built, what is swapped, and what happens when that does not work.

use super::*;

#[tokio::test]
async fn a_saved_source_is_built_and_only_its_service_is_swapped_while_clients_are_served() {
    let watched = Project::two().start().await;
    let before = watched.revisions().await;
    let mut clients = Vec::new();
    for protocol in Protocol::ALL {
        clients.push((
            watched.client("/a/", protocol).await,
            watched.client("/b/", protocol).await,
        ));
    }
    watched.save("a.txt", "r2");
    eventually("all clients to meet the new revision", async || {
        clients.iter().all(|(a, _)| a.seen().contains(&"r2".to_owned()))
    })
    .await;
    for (a, b) in clients {
        assert_eq!(a.end().await, ["r1", "r2"]);
        assert_eq!(b.end().await, ["r1"]);
    }
    let after = watched.revisions().await;
    assert_ne!(after["a"], before["a"]);
    assert_eq!(after["b"], before["b"]);

    let history = watched.history().await;
    let [newest, start] = history.as_slice() else {
        panic!("{history:?}")
    };
    assert_eq!(changed(newest), ["a"]);
    assert_eq!(newest["by"], "up --watch");
    assert_eq!(
        (&newest["changes"][0]["from"], &newest["changes"][0]["to"]),
        (&before["a"].clone().into(), &after["a"].clone().into())
    );
    assert_eq!(start["action"], "start");

    watched.hears("published in").await;
    assert!(
        watched
            .said_of("a")
            .contains(&"changed (a.txt): building".to_owned())
    );
    assert!(!watched.said_of("b").iter().any(|line| line.contains("building")));
    let log = watched.host.stop().await;
    let published: Vec<_> = log
        .iter()
        .filter(|line| line.message().contains("published in"))
        .collect();
    // What the build wrote is not swapped a second time.
    assert_eq!(published.len(), 1, "{published:?}");
}

#[tokio::test]
async fn a_build_that_fails_is_shown_and_the_next_one_that_works_is_served() {
    let watched = Project::two().start().await;
    let client = watched.client("/a/", Protocol::Http1).await;
    watched.save("a.txt", "nothing");
    watched.hears("the build failed").await;
    let said = watched.said_of("a");
    let at = |text: &str| {
        let place = said.iter().position(|line| line.contains(text));
        place.unwrap_or_else(|| panic!("no {text:?} in {said:#?}"))
    };
    let order = [
        at("changed (a.txt): building"),
        at("copying for a"),
        at("parts/nothing.wasm"),
        at("building a failed"),
        at("goes on serving"),
    ];
    assert!(order.is_sorted(), "{said:#?}");
    assert_eq!(watched.get("/a/").await, (StatusCode::OK, "r1".to_owned()));
    // That of another service goes its way meanwhile.
    watched.save("b.txt", "r2");
    watched.serves("/b/", "r2").await;
    watched.save("a.txt", "r3");
    watched.serves("/a/", "r3").await;
    assert_eq!(client.end().await, ["r1", "r3"]);
    watched.host.stop().await;
}

#[tokio::test]
async fn a_component_that_is_refused_is_told_and_the_next_one_that_is_let_in_is_served() {
    let watched = Project::two().start().await;
    let client = watched.client("/a/", Protocol::Http1).await;
    watched.save("a.txt", "text");
    watched.hears("not swapped").await;
    let said = watched.host.log_text();
    assert!(said.contains("it is not WebAssembly"), "{said}");
    assert_eq!(watched.get("/a/").await, (StatusCode::OK, "r1".to_owned()));
    let newest = watched.history().await.swap_remove(0);
    assert_eq!(newest["outcome"], "refused");
    // The refused component is none of the other service's business, and is told once more, not swapped.
    watched.save("b.txt", "r2");
    watched.serves("/b/", "r2").await;
    watched.hears("still not swapped").await;
    watched.save("a.txt", "r2");
    watched.serves("/a/", "r2").await;
    assert_eq!(client.end().await, ["r1", "r2"]);
    watched.host.stop().await;
}

#[tokio::test]
async fn sources_of_two_services_that_are_saved_together_change_at_one_instant() {
    let watched = Project::two().service("slow", WAIT, "").start().await;
    // While one build keeps the watch busy, whatever is saved is saved together.
    watched.save("slow.txt", "r2");
    eventually("the slow build to begin", async || {
        watched.folder.join("pid").exists()
    })
    .await;
    watched.save("a.txt", "r2");
    watched.save("b.txt", "r2");
    watched.save("go", "");
    watched.serves("/a/", "r2").await;
    watched.serves("/b/", "r2").await;
    watched.serves("/slow/", "r2").await;
    let history = watched.history().await;
    let changes: Vec<_> = history.iter().map(changed).collect();
    assert_eq!(changes[..2], [vec!["a", "b"], vec!["slow"]]);
    watched.host.stop().await;
}

#[tokio::test]
async fn a_component_that_is_replaced_without_a_build_is_swapped() {
    let watched = Project::two().start().await;
    let before = watched.revisions().await;
    // By a rename, and as compilers write.
    watched.save("a.wasm", component("r2"));
    watched.serves("/a/", "r2").await;
    fs::write(watched.folder.join("a.wasm"), component("r3")).expect("the folder is ours");
    watched.serves("/a/", "r3").await;
    assert_eq!(watched.revisions().await["b"], before["b"]);
    assert!(!watched.said_of("a").iter().any(|line| line.contains("building")));
    watched.host.stop().await;
}
