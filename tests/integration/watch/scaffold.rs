//! A service with a compiler.

use http::Request;

use super::*;
use crate::harness::{Finished, full, program};
use crate::scaffold::{guest_build, new_app_folder};

/// How long a compiler may take, with others at work.
const COMPILING: Duration = Duration::from_secs(900);

#[tokio::test]
async fn an_edited_source_of_a_new_app_is_compiled_and_swapped() {
    let folder = new_app_folder("watch");
    for arguments in [&["new", "notes"] as &[_], &["add", "notes", "-f", "notes"]] {
        let finished = Finished::of(arguments, &folder).await;
        assert!(finished.status.success(), "{finished:?}");
    }
    let app = folder.join("notes");
    // The versions that the services of this repository were tested with.
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../components/Cargo.lock");
    fs::copy(lock, app.join("components/Cargo.lock")).expect("the folder is ours");
    let mut build = program();
    build.current_dir(&app).arg("build").envs(guest_build());
    for name in ["RUSTFLAGS", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET"] {
        build.env_remove(name);
    }
    let built = build.output().await.expect("the binary starts");
    assert!(built.status.success(), "{built:?}");

    let builder = guest_build()
        .into_iter()
        .fold(TestHost::builder(), |builder, (name, value)| {
            let text = |text: std::ffi::OsString| text.into_string().expect("the variables are text");
            builder.env(&text(name), &text(value))
        });
    let host = builder.arg("--watch").start_from(&app).await;
    let put = Request::put("/notes/ada")
        .body(full("a lamp"))
        .expect("it is a request");
    assert_eq!(host.request(put).await.status, StatusCode::OK);
    let client = Client::start(&host, "/notes/ada", Protocol::Http1).await;

    let source = app.join("components/notes/src/http.rs");
    let old = fs::read_to_string(&source).expect("the service has a source");
    let new = old.replace("\"text\": entry.text", "\"text\": entry.text, \"edited\": true");
    assert_ne!(old, new);
    fs::write(&source, new).expect("the folder is ours");
    let edited = async {
        while !client.seen().iter().any(|answer| answer.contains("edited")) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let in_time = tokio::time::timeout(COMPILING, edited).await;
    assert!(in_time.is_ok(), "{}", host.log_text());
    let seen = client.end().await;
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(
        seen[0].contains("a lamp") && seen[1].contains("a lamp"),
        "{seen:?}"
    );
    host.stop().await;
}
