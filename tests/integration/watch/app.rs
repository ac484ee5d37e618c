//! The manifest and the mounted files.

use super::*;

/// A service whose answers show a variable and a file.
fn project() -> Project {
    Project::new()
        .service(
            "a",
            COPY,
            "variables = { greeting = \"{{ greeting }}\" }\n\
             files = [{ source = \"assets\", destination = \"/assets\" }]",
        )
        .service("b", COPY, "")
        .tables("[variables]\ngreeting = { default = \"hello\" }")
        .file("assets/page.txt", "first")
}

#[tokio::test]
async fn a_saved_manifest_is_in_force_without_a_restart() {
    let watched = project().start().await;
    let before = watched.revisions().await;
    let client = watched.client("/a/", Protocol::Http1).await;
    let variable = watched.client("/a/variable/greeting", Protocol::Http2).await;
    assert_eq!(watched.get("/more/").await.0, StatusCode::NOT_FOUND);

    let changed = watched.manifest.replace("\"hello\"", "\"welcome\"") + &route("/more/...", "b");
    watched.save("spin.toml", &changed);
    watched.serves("/more/", "r1").await;
    watched.serves("/a/variable/greeting", "r1 welcome").await;
    watched.hears("route /more/... added").await;
    let after = watched.revisions().await;
    assert_ne!(after["a"], before["a"], "a variable is part of a revision");
    assert_eq!(after["b"], before["b"], "a route is none");

    // A service that was never built, and one that goes.
    watched.save("c.txt", "r2");
    let changed = changed
        .replace(&route("/more/...", "b"), "")
        .replace(&route("/b/...", "b"), "")
        .replace(&service("b", COPY, ""), "");
    assert!(!changed.contains("component = \"b\""), "{changed}");
    watched.save(
        "spin.toml",
        changed + &route("/c/...", "c") + &service("c", COPY, ""),
    );
    watched.serves("/c/", "r2").await;
    assert_eq!(watched.get("/b/").await.0, StatusCode::NOT_FOUND);
    assert_eq!(watched.get("/more/").await.0, StatusCode::NOT_FOUND);
    // Its source is watched from now on.
    watched.save("c.txt", "r3");
    watched.serves("/c/", "r3").await;

    assert_eq!(client.end().await, ["r1"]);
    assert_eq!(variable.end().await, ["r1 hello", "r1 welcome"]);
    watched.host.stop().await;
}

#[tokio::test]
async fn a_manifest_that_cannot_be_meant_is_told_with_the_place_and_changes_nothing() {
    let watched = project().start().await;
    let client = watched.client("/a/", Protocol::Http1).await;
    let history = watched.history().await.len();
    let lines = watched.manifest.lines().count();
    for (text, expected) in [
        ("nonsense = = 1", format!("spin.toml:{}:", lines + 2)),
        (
            &*route("/x/...", "missing"),
            format!("spin.toml:{}:13: there is no component `missing`", lines + 5),
        ),
    ] {
        watched.save("spin.toml", format!("{}\n{text}\n", watched.manifest));
        watched.hears(&expected).await;
    }
    watched.hears("the change of the app is not in force").await;
    // Sources are built and swapped as before.
    watched.save("a.txt", "r2");
    watched.serves("/a/", "r2").await;
    assert_eq!(watched.history().await.len(), history + 1);
    watched.save("spin.toml", watched.manifest.clone() + &route("/more/...", "b"));
    watched.serves("/more/", "r1").await;
    assert_eq!(client.end().await, ["r1", "r2"]);
    watched.host.stop().await;
}

#[tokio::test]
async fn a_manifest_that_is_as_before_again_is_told_to_be_in_order() {
    let watched = project().start().await;
    watched.save("spin.toml", "nonsense");
    watched.hears("the change of the app is not in force").await;
    watched.save("spin.toml", &watched.manifest);
    watched.hears("the manifest is in order again").await;
    watched.host.stop().await;
}

#[tokio::test]
async fn a_manifest_that_is_saved_together_with_a_source_waits_for_its_build() {
    let watched = project().service("slow", WAIT, "").start().await;
    // While one build keeps the watch busy, whatever is saved is saved together.
    watched.save("slow.txt", "r2");
    eventually("the slow build to begin", async || {
        watched.folder.join("pid").exists()
    })
    .await;
    watched.save("a.txt", "nothing");
    watched.save("spin.toml", watched.manifest.clone() + &route("/more/...", "a"));
    watched.save("go", "");
    watched.hears("the change of the app waits for the build").await;
    assert_eq!(watched.get("/more/").await.0, StatusCode::NOT_FOUND);
    watched.save("a.txt", "r2");
    watched.serves("/more/", "r2").await;
    assert_eq!(watched.get("/a/").await, (StatusCode::OK, "r2".to_owned()));
    let newest = watched.history().await.swap_remove(0);
    assert_eq!(
        (changed(&newest), &newest["action"]),
        (vec!["a".to_owned()], &"apply".into())
    );
    watched.host.stop().await;
}

#[tokio::test]
async fn files_that_are_mounted_are_served_as_they_are_saved() {
    let watched = project().start().await;
    let before = watched.revisions().await;
    let client = watched.client("/a/file/assets/page.txt", Protocol::Http1).await;
    watched.save("assets/page.txt", "second");
    watched.serves("/a/file/assets/page.txt", "r1 second").await;
    assert_eq!(client.end().await, ["r1 first", "r1 second"]);
    watched.save("assets/deep/new.txt", "third");
    watched.serves("/a/file/assets/deep/new.txt", "r1 third").await;
    fs::remove_file(watched.folder.join("assets/page.txt")).expect("the folder is ours");
    eventually("the file to be gone", async || {
        watched.get("/a/file/assets/page.txt").await.0 == StatusCode::NOT_FOUND
    })
    .await;
    assert_eq!(watched.revisions().await["b"], before["b"]);
    watched.host.stop().await;
}
