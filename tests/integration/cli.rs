//! The command line: what starts, what does not, and what it says about it.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::harness::{Builder, Connection, Finished, Protocol, TestHost, program, soon};

fn minimal() -> Builder {
    TestHost::builder().service("p2", "http-p2").route("/...", "p2")
}

/// Fails unless the host ended with an error that contains all of these words and nothing of its insides.
fn assert_says(failure: &Finished, words: &[&str]) {
    assert!(failure.status.code().is_some_and(|code| code != 0), "{failure:?}");
    let said = format!("{}{}", failure.stdout, failure.stderr);
    for word in words {
        assert!(said.contains(word), "no {word:?} in what the host says:\n{said}");
    }
    for inside in ["panicked at", "RUST_BACKTRACE", "stack backtrace"] {
        assert!(
            !said.contains(inside),
            "{inside:?} in what the host says:\n{said}"
        );
    }
}

#[tokio::test]
async fn a_manifest_that_is_wrong_is_an_error_with_its_place_and_a_hint() {
    let cases: [(&str, &[&str]); 9] = [
        (
            "spin_manifest_version = 2\n[application\nname = \"x\"\n",
            &["spin.toml:2"],
        ),
        (
            "spin_manifest_version = 1\nname = \"x\"\n",
            &["spin.toml:1", "spin_manifest_version = 2"],
        ),
        ("spin_manifest_version = 2\n", &["application"]),
        (
            "spin_manifest_version = 2\n[application]\nname = 7\n",
            &["spin.toml:3", "name"],
        ),
        (
            "spin_manifest_version = 2\n[application]\nname = \"x\"\nauthor = \"me\"\n",
            &["spin.toml:4", "author", "authors"],
        ),
        (
            "spin_manifest_version = 2\n[application]\nname = \"x\"\n[[trigger.http]]\nroute = \"/\"\ncomponent = \"webb\"\n\
             [component.web]\nsource = \"web.wasm\"\n",
            &["spin.toml:6", "webb", "web"],
        ),
        (
            "spin_manifest_version = 2\n[application]\nname = \"x\"\n[[trigger.redis]]\nchannel = \"c\"\ncomponent = \"web\"\n\
             [component.web]\nsource = \"web.wasm\"\n",
            &["spin.toml:4", "redis"],
        ),
        (
            "spin_manifest_version = 2\n[application]\nname = \"x\"\n[[trigger.http]]\nroute = \"no-slash\"\ncomponent = \"web\"\n\
             [component.web]\nsource = \"web.wasm\"\n",
            &["spin.toml:5", "no-slash"],
        ),
        (
            "spin_manifest_version = 2\n[application]\nname = \"x\"\n[component.web]\nsource = \"web.wasm\"\n\
             allowed_outbound_hosts = [\"not a host\"]\n",
            &["spin.toml:6", "not a host"],
        ),
    ];
    for (manifest, words) in cases {
        let failure = TestHost::builder().manifest(manifest).fail().await;
        assert_says(&failure, words);
    }
}

#[tokio::test]
async fn a_manifest_that_is_no_text_is_an_error_with_its_place() {
    let manifest = b"spin_manifest_version = 2\n[application]\nname = \"caf\xe9\"\n";
    let failure = TestHost::builder().manifest(manifest).fail().await;
    assert_says(&failure, &["spin.toml", "UTF-8", "byte 51"]);
}

#[tokio::test]
async fn what_is_not_implemented_yet_is_refused_by_name() {
    for (line, word) in [
        ("ai_models = [\"llama\"]", "ai_models"),
        ("dependencies = { \"a:b@1.0.0\" = \"1.0.0\" }", "from a registry"),
        ("tool.midplane.retries = 3", "retries"),
    ] {
        let failure = minimal().grant(line).fail().await;
        assert_says(&failure, &[word]);
    }
}

#[tokio::test]
async fn a_component_file_that_is_missing_is_named() {
    let app = || TestHost::builder().tables("[component.web]\nsource = \"web.wasm\"");
    assert_says(&app().fail().await, &["web.wasm", "source"]);
    let failure = app().grant("build = { command = \"make\" }").fail().await;
    assert_says(&failure, &["web.wasm", "--build"]);
}

#[tokio::test]
async fn a_file_that_is_no_component_is_named() {
    for content in [
        b"not wasm at all".as_slice(),
        b"",
        b"\0asm\x0d\x00\x01\x00 and then garbage",
    ] {
        let failure = TestHost::builder()
            .tables("[component.web]\nsource = \"web.wasm\"")
            .file("web.wasm", content)
            .fail()
            .await;
        assert_says(&failure, &["web.wasm", "component"]);
    }
}

#[tokio::test]
async fn an_import_that_nothing_provides_is_named() {
    let failure = TestHost::builder()
        .service("web", "import-unknown")
        .route("/...", "web")
        .fail()
        .await;
    assert_says(&failure, &["web", "acme:warehouse/robots@1.2.3"]);
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let first = minimal().start().await;
    let port = first.address.port().to_string();
    let failure = minimal()
        .arg("--listen")
        .arg(first.address.to_string())
        .fail()
        .await;
    assert_says(&failure, &[&port, "in use"]);
    let failure = minimal().arg("--admin").arg(first.admin.to_string()).fail().await;
    assert_says(&failure, &[&first.admin.port().to_string(), "in use"]);
    assert_eq!(first.get("/hello").await.text(), "hello\n");
}

#[tokio::test]
async fn a_state_directory_that_cannot_be_used_is_named() {
    let app = minimal().file("occupied", "a file");
    let place = app.folder().join("occupied");
    let app = app.state_dir(&place);
    let failure = app.fail().await;
    assert_says(&failure, &["occupied"]);
    assert_eq!(fs::read_to_string(place).unwrap(), "a file");
}

#[tokio::test]
async fn two_hosts_do_not_share_a_state_directory() {
    let app = minimal();
    let first = app.start().await;
    let failure = app.fail().await;
    assert_says(&failure, &["state"]);
    assert_eq!(first.get("/hello").await.text(), "hello\n");
}

#[tokio::test]
async fn a_second_start_compiles_nothing() {
    let app = minimal().service("p3", "http-p3").own_cache();
    let (miss, hit) = (["result=\"miss\""], ["result=\"hit\""]);
    let lookups = "midplane_compile_cache_lookups_total";
    let first = app.start().await;
    assert_eq!(first.metric(lookups, &miss).await, Some(2.0));
    first.stop().await;
    let second = app.start().await;
    assert_eq!(
        (
            second.metric(lookups, &miss).await,
            second.metric(lookups, &hit).await
        ),
        (Some(0.0), Some(2.0))
    );
    assert_eq!(
        second.metric("midplane_compile_seconds_total", &[]).await,
        Some(0.0)
    );
    assert_eq!(second.get("/hello").await.text(), "hello\n");
}

/// The compiled components below a folder.
fn artifacts(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(artifacts(&path));
        } else if path.extension().is_some_and(|extension| extension == "cwasm") {
            found.push(path);
        }
    }
    found
}

#[tokio::test]
async fn a_damaged_cache_is_compiled_anew() {
    let app = minimal().own_cache();
    app.start().await.stop().await;
    let cut: fn(&mut Vec<u8>) = |bytes| bytes.truncate(bytes.len() / 2);
    let flipped: fn(&mut Vec<u8>) = |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    };
    for damage in [cut, flipped] {
        let found = artifacts(&app.folder().join("cache"));
        assert_eq!(found.len(), 1, "{found:?}");
        // Replaced and not changed in place, as a broken disk or a cut copy would leave it.
        let mut bytes = fs::read(&found[0]).unwrap();
        damage(&mut bytes);
        fs::remove_file(&found[0]).unwrap();
        fs::write(&found[0], bytes).unwrap();
        let host = app.start().await;
        let misses = host.metric("midplane_compile_cache_lookups_total", &["result=\"miss\""]);
        assert_eq!(misses.await, Some(1.0));
        assert_eq!(host.get("/hello").await.text(), "hello\n");
        host.stop().await;
    }
}

#[tokio::test]
async fn a_bad_flag_a_bad_command_and_a_bad_runtime_file_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    assert_says(
        &Finished::of(&["up", "--lissten", "127.0.0.1:0"], folder.path()).await,
        &["--lissten", "--listen"],
    );
    assert_says(&Finished::of(&["upp"], folder.path()).await, &["upp"]);
    assert_says(
        &Finished::of(&["up", "--listen", "nonsense"], folder.path()).await,
        &["nonsense"],
    );
    assert_says(&Finished::of(&["up"], folder.path()).await, &["spin.toml", "-f"]);
    // What was typed may be a secret, so it is not repeated.
    let failure = minimal().arg("--variable").arg("no-value").fail().await;
    assert_says(&failure, &["--variable", "name=value"]);
    assert!(!failure.stderr.contains("no-value"), "{failure:?}");
    let failure = minimal()
        .file("runtime.toml", "state_dirr = \"x\"\n")
        .arg("--runtime-config-file")
        .arg("runtime.toml")
        .fail()
        .await;
    assert_says(&failure, &["runtime.toml", "state_dirr"]);
}

#[tokio::test]
async fn help_explains_by_example() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [["--help"].as_slice(), &["up", "--help"]] {
        let help = Finished::of(arguments, folder.path()).await;
        assert_eq!(help.status.code(), Some(0));
        assert!(help.stdout.contains("midplane up"), "{}", help.stdout);
        assert!(help.stdout.contains("Example"), "{}", help.stdout);
    }
    let version = Finished::of(&["--version"], folder.path()).await;
    assert!(version.stdout.starts_with("midplane "), "{}", version.stdout);
}

#[tokio::test]
async fn a_manifest_elsewhere_is_found_by_file_and_by_folder() {
    let app = minimal();
    app.start().await.stop().await;
    let elsewhere = TestHost::builder();
    for path in [app.folder().to_owned(), app.folder().join("spin.toml")] {
        let host = elsewhere.start_from(&path).await;
        assert_eq!(host.get("/hello").await.text(), "hello\n");
        host.stop().await;
    }
}

#[tokio::test]
async fn up_prints_for_people_what_it_serves() {
    let app = TestHost::builder()
        .service("web", "data-p2")
        .grant("sqlite_databases = [\"default\"]")
        .route("/shop/...", "web");
    app.start().await.stop().await;
    let mut command = program();
    command.current_dir(app.folder());
    command.args([
        "up",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "off",
        "--state-dir",
        "state",
    ]);
    command.env("MIDPLANE_CACHE_DIR", app.cache());
    let mut host = command.spawn().unwrap();
    let mut said = BufReader::new(host.stdout.take().unwrap()).lines();
    let mut lines = Vec::new();
    soon("the host to say what it serves", async {
        while let Some(line) = said.next_line().await.unwrap() {
            lines.push(line);
            if lines.iter().any(|line| line.contains("/shop"))
                && lines.iter().any(|line| line.contains("state/"))
            {
                return;
            }
        }
        panic!("the host ended: {lines:?}");
    })
    .await;
    let url = lines
        .iter()
        .find_map(|line| line.strip_prefix("Serving "))
        .expect("a line with the address");
    let address = url
        .trim()
        .strip_prefix("http://")
        .expect("a URL")
        .parse()
        .unwrap();
    let health = Connection::open(address, Protocol::Http1)
        .await
        .get("/.well-known/spin/health")
        .await;
    assert_eq!(health.text(), "OK");
    assert!(
        lines.iter().all(|line| !line.contains('\x1b')),
        "colours on a pipe: {lines:?}"
    );
    let id = Pid::from_raw(host.id().unwrap().try_into().unwrap()).unwrap();
    kill_process(id, Signal::TERM).unwrap();
    let status = soon("the host to end", host.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn up_prints_where_it_serves_and_where_the_data_lives() {
    let host = TestHost::builder()
        .service("p2", "data-p2")
        .grant("key_value_stores = [\"default\"]\nsqlite_databases = [\"default\"]")
        .route("/...", "p2")
        .start()
        .await;
    let announced = host.announcement.to_string();
    assert!(
        host.announcement["base_url"]
            .as_str()
            .is_some_and(|url| url.starts_with("http://127.0.0.1:"))
    );
    assert!(
        announced.contains("sqlite") && announced.contains("state"),
        "{announced}"
    );
}

#[tokio::test]
async fn a_state_directory_that_others_can_write_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;

    let app = minimal();
    let place = app.folder().join("open");
    fs::create_dir(&place).unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o777)).unwrap();
    let app = app.state_dir(&place);
    let failure = app.fail().await;
    assert_says(&failure, &["open", "777", "chmod go-w"]);
    assert_eq!(fs::read_dir(place).unwrap().count(), 0, "nothing was put there");
}

#[tokio::test]
async fn services_of_one_component_start_together_on_an_empty_cache() {
    let mut app = TestHost::builder().own_cache();
    for number in 0..6 {
        app = app
            .service(&format!("s{number}"), "hello-p2")
            .route(&format!("/s{number}"), &format!("s{number}"));
    }
    let host = app.start().await;
    for number in 0..6 {
        assert_eq!(host.get(&format!("/s{number}")).await.text(), "Hello, world!");
    }
    host.stop().await;
}
