//! Who may ask.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use http::{Method, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::api::{Api, Document, exchange, request, token};
use crate::harness::{Builder, Finished, TestHost, program, soon};

fn app() -> Builder {
    TestHost::builder().service("a", "hello-p3").route("/a/...", "a")
}

/// Every operation of the API, asked of the app and the service.
fn operations(document: &Document) -> Vec<(Method, String)> {
    let concrete = |path: &str| path.replace("{app}", "test").replace("{service}", "a");
    let paths = document.paths();
    let operations = paths.iter().flat_map(|(path, methods)| {
        let path = concrete(path);
        methods.iter().map(move |method| (method.clone(), path.clone()))
    });
    operations.collect()
}

#[tokio::test]
async fn the_token_is_for_its_owner_alone_and_the_same_after_a_restart() {
    let builder = app();
    let state = builder.folder().join("state");
    let host = builder.start().await;
    let first = token(&state);
    assert!(first.len() >= 64, "{} letters", first.len());
    let mode = std::fs::metadata(state.join("admin.token"))
        .expect("the file is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o600);
    let log = host.stop().await;
    assert!(!log.iter().any(|line| line.text().contains(&first)));
    let host = builder.start().await;
    assert_eq!(token(&state), first);
    assert!(!host.announcement.to_string().contains(&first));
    host.stop().await;
    let other = app();
    other.start().await.stop().await;
    assert_ne!(token(&other.folder().join("state")), first);
}

#[tokio::test]
async fn the_api_wants_the_token_and_readiness_and_figures_do_not() {
    let builder = app();
    let host = builder.start().await;
    let document = Document::of(host.admin).await;
    let right = token(&builder.folder().join("state"));
    let wrong = ["", "Bearer", "Bearer ", "Bearer x", "Basic eDp5"].map(str::to_owned);
    let wrong = wrong.into_iter().chain([
        format!("Bearer {right}0"),
        format!("Bearer {}", &right[1..]),
        format!("Basic {right}"),
        right.clone(),
    ]);
    let wrong: Vec<String> = wrong.collect();
    for (method, path) in operations(&document) {
        let is_open = ["/ready", "/metrics", "/v1/openapi.json"].contains(&&*path);
        let answer = exchange(host.admin, request(method.clone(), &path)).await;
        if is_open {
            assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
            continue;
        }
        document.check(&method, &path, &answer);
        assert_eq!(
            answer.status,
            StatusCode::UNAUTHORIZED,
            "{method} {path}: {answer:?}"
        );
        assert!(
            answer.header("www-authenticate").starts_with("Bearer "),
            "{method} {path}"
        );
        assert!(!answer.text().contains(&right));
    }
    for credentials in wrong {
        let mut request = request(Method::GET, "/v1/apps");
        let header = credentials.parse().expect("it is a header");
        request.headers_mut().insert("authorization", header);
        let answer = exchange(host.admin, request).await;
        assert_eq!(
            answer.status,
            StatusCode::UNAUTHORIZED,
            "{credentials}: {answer:?}"
        );
    }
    // Which paths there are is nobody's business either.
    let answer = exchange(host.admin, request(Method::GET, "/v1/made-up")).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    let api = Api::of(&host, &builder.folder().join("state")).await;
    api.read("/v1/apps").await;
    host.stop().await;
}

#[tokio::test]
async fn pages_of_other_origins_and_names_of_other_hosts_are_refused_whatever_they_know() {
    let builder = app();
    let host = builder.start().await;
    let api = Api::of(&host, &builder.folder().join("state")).await;
    let with = |method: &Method, path: &str, name: &'static str, value: &str| {
        let mut request = request(method.clone(), path);
        let value = value.parse().expect("it is a header");
        request.headers_mut().insert(name, value);
        request
    };
    for (method, path) in operations(&api.document) {
        if path.starts_with("/v1") {
            for origin in [
                "http://example.com",
                "null",
                &format!("http://{}", host.address),
                &format!("https://{}", host.admin),
            ] {
                let answer = api.ask(with(&method, &path, "origin", origin)).await;
                assert_eq!(
                    answer.status,
                    StatusCode::FORBIDDEN,
                    "{method} {path} {origin}: {answer:?}"
                );
            }
        }
        for name in [
            "example.com",
            "localhost.example.com",
            "127.0.0.1.example.com:3001",
        ] {
            let answer = api.ask(with(&method, &path, "host", name)).await;
            assert_eq!(
                answer.status,
                StatusCode::MISDIRECTED_REQUEST,
                "{method} {path} {name}: {answer:?}"
            );
        }
    }
    let own = format!("http://{}", host.admin);
    for (name, value) in [
        ("origin", own.as_str()),
        ("host", "localhost"),
        ("host", "LOCALHOST:3001"),
        ("host", "[::1]:3001"),
    ] {
        let answer = api.ask(with(&Method::GET, "/v1/apps", name, value)).await;
        assert_eq!(answer.status, StatusCode::OK, "{name} {value}: {answer:?}");
    }
    let answer = crate::harness::raw(
        host.admin,
        b"GET /ready HTTP/1.1\r\nhost: localhost\r\nhost: example.com\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    host.stop().await;
}

#[tokio::test]
async fn commands_take_the_token_from_the_environment_or_from_the_state_directory() {
    let builder = app();
    let host = builder.start().await;
    let state = builder.folder().join("state");
    let elsewhere = tempfile::tempdir().expect("the system has a temporary folder");
    let admin = format!("http://{}", host.admin);
    let status = async |token: Option<&str>| {
        let mut command = program();
        command.current_dir(elsewhere.path());
        command.args(["status", "--format", "json", "--admin", &admin]);
        if let Some(token) = token {
            command.env("MIDPLANE_ADMIN_TOKEN", token);
        }
        Finished::by(command).await
    };
    let right = token(&state);
    let finished = status(Some(&right)).await;
    assert_eq!(finished.status.code(), Some(0), "{finished:?}");
    let shown: Value = serde_json::from_str(&finished.stdout).expect("it is JSON");
    assert_eq!(shown["app"], "test");

    let missing = status(None).await;
    assert_eq!(missing.status.code(), Some(1), "{missing:?}");
    for part in ["there is no token", "MIDPLANE_ADMIN_TOKEN", "--state-dir"] {
        assert!(missing.stderr.contains(part), "no {part:?} in {missing:?}");
    }
    let wrong = "0123456789abcdef".repeat(4);
    let wrong = status(Some(&wrong)).await;
    assert_eq!(wrong.status.code(), Some(1), "{wrong:?}");
    assert!(
        wrong
            .stderr
            .contains("does not take the token of MIDPLANE_ADMIN_TOKEN"),
        "{wrong:?}"
    );
    for finished in [missing, wrong] {
        assert!(!finished.stderr.contains(&right));
    }
    host.stop().await;
}

#[tokio::test]
async fn hosts_beside_each_other_are_told_apart_by_their_state_directories() {
    let builders = [app(), app()];
    let mut hosts = Vec::new();
    for builder in &builders {
        hosts.push(builder.start().await);
    }
    for (builder, host) in builders.iter().zip(&hosts) {
        let state = builder.folder().join("state");
        let state = state.to_str().expect("a temporary folder is text");
        let arguments = ["status", "--format", "json", "--state-dir", state];
        let finished = Finished::of(&arguments, builder.folder()).await;
        let shown: Value = serde_json::from_str(&finished.stdout).expect("it is JSON");
        assert_eq!(shown["url"], host.announcement["base_url"], "{finished:?}");
    }
    for host in hosts {
        host.stop().await;
    }
    // What a host said of itself goes with it.
    let finished = Finished::of(&["status", "--state-dir", "state"], builders[0].folder()).await;
    assert_eq!(finished.status.code(), Some(1), "{finished:?}");
    assert!(finished.stderr.contains("midplane up"), "{finished:?}");
}

#[tokio::test]
async fn without_an_admin_listener_commands_say_what_to_do() {
    let builder = app();
    let folder = builder.folder().to_owned();
    // Writes the manifest, and leaves what a host with a listener leaves.
    builder.start().await.stop().await;
    let mut command = program();
    command
        .current_dir(&folder)
        .args([
            "up",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "off",
            "--format",
            "json",
        ])
        .args(["--state-dir", "state", "--quiet"])
        .env("MIDPLANE_CACHE_DIR", builder.cache())
        .stderr(Stdio::null());
    let mut host = command.spawn().expect("the binary starts");
    let mut line = String::new();
    let mut stdout = BufReader::new(host.stdout.take().expect("stdout is piped"));
    soon("the host to serve", stdout.read_line(&mut line))
        .await
        .expect("it says where");
    let announcement: Value = serde_json::from_str(&line).expect("it is JSON");
    assert_eq!(announcement["admin_url"], Value::Null);

    for arguments in [
        &["status"] as &[&str],
        &["history"],
        &["deploy", "a", "spin.toml"],
        &["rollback", "a"],
        &["apply"],
        &["logs", "a"],
    ] {
        let arguments = [arguments, &["--state-dir", "state"]].concat();
        let finished = Finished::of(&arguments, &folder).await;
        assert_eq!(finished.status.code(), Some(1), "{arguments:?}: {finished:?}");
        for part in ["no running host is known", "hint: ", "without `--admin off`"] {
            assert!(
                finished.stderr.contains(part),
                "{arguments:?}: no {part:?}: {finished:?}"
            );
        }
    }
    let id = host
        .id()
        .and_then(|id| id.try_into().ok())
        .expect("the host runs");
    kill_process(Pid::from_raw(id).expect("an id is positive"), Signal::TERM).expect("the child is ours");
    let status = soon("the host to end", host.wait())
        .await
        .expect("the child is ours");
    assert_eq!(status.code(), Some(0));
}
