//! Dependencies that are composed into a service's component: one instance, with the service's own configuration
//! or none of it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use ring::digest::{SHA256, digest};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{calls, links, of_service};
use crate::harness::{Builder, TestHost, fixture};

const CELLS: &str = "link:store/cells@1.0.0";
const STORE: &str = "key_value_stores = [\"default\"]";

fn store() -> Vec<u8> {
    fs::read(fixture("link-store")).expect("the fixture is readable")
}

/// A user with a dependency that serves its import; the file `store.wasm` is beside the manifest.
fn user(dependency: &str) -> Builder {
    depending(CELLS, dependency)
}

fn depending(name: &str, dependency: &str) -> Builder {
    TestHost::builder()
        .file("store.wasm", store())
        .service("user", "link-store-user")
        .grant(STORE)
        .tables(&format!(
            "[component.user.dependencies]\n{name:?} = {{ {dependency} }}"
        ))
        .route("/...", "user")
}

/// Both work, on one store, in the user's own instances and over no link.
async fn assert_composed(host: &TestHost) {
    assert_eq!(host.get("/other/put/key/value").await.text(), "ok kept\n");
    assert_eq!(host.get("/other/get/key").await.text(), "ok value\n");
    assert_eq!(host.get("/own/get/key").await.text(), "ok value\n");
    assert!(of_service(host, "midplane_instances", "user").await >= 1.0);
    assert_eq!(host.metric("midplane_link_calls_total", &[]).await, None);
}

#[tokio::test]
async fn a_path_is_composed_and_may_use_what_it_inherits() {
    for inherit in ["true", "[\"key_value_stores\"]"] {
        for name in [CELLS, "link:store@1.0.0", "link:store"] {
            let dependency = format!("path = \"store.wasm\", inherit_configuration = {inherit}");
            let host = depending(name, &dependency).start().await;
            assert_composed(&host).await;
        }
    }
}

#[tokio::test]
async fn what_is_not_inherited_is_denied() {
    for inherit in [
        "",
        ", inherit_configuration = false",
        ", inherit_configuration = []",
        ", inherit_configuration = [\"sqlite_databases\", \"allowed_outbound_hosts\"]",
    ] {
        let host = user(&format!("path = \"store.wasm\"{inherit}")).start().await;
        let answer = host.get("/other/get/key").await;
        assert_eq!(
            answer.text(),
            "err Error::AccessDenied\n",
            "{inherit}: {answer:?}"
        );
        // The service itself is not.
        assert_eq!(
            host.get("/own/put/key/value").await.text(),
            "ok kept\n",
            "{inherit}"
        );
    }
}

#[tokio::test]
async fn all_dependencies_of_a_service_can_inherit_at_once() {
    let host = TestHost::builder()
        .file("store.wasm", store())
        .service("user", "link-store-user")
        .grant(STORE)
        .grant("dependencies_inherit_configuration = true")
        .tables(&format!(
            "[component.user.dependencies]\n{CELLS:?} = {{ path = \"store.wasm\" }}"
        ))
        .route("/...", "user")
        .start()
        .await;
    assert_composed(&host).await;
}

#[tokio::test]
async fn a_component_of_the_manifest_is_composed_with_the_users_configuration() {
    let builder = user("component = \"store\", inherit_configuration = true").service("store", "link-store");
    assert_composed(&builder.start().await).await;
}

#[tokio::test]
async fn an_explicit_link_outranks_a_dependency() {
    let host = user("component = \"store\"")
        .tables(&links("user", &[(CELLS, "store")]))
        .service("store", "link-store")
        .grant(STORE)
        .start()
        .await;
    assert_eq!(host.get("/other/put/key/value").await.text(), "ok kept\n");
    assert_eq!(host.get("/other/get/key").await.text(), "ok value\n");
    assert_eq!(calls(&host, "user", "store", "answered").await, 2.0);
    assert_eq!(of_service(&host, "midplane_instances", "store").await, 1.0);
}

#[tokio::test]
async fn a_dependency_outranks_the_only_exporter() {
    let builder = user("path = \"store.wasm\", inherit_configuration = true").service("store", "link-store");
    assert_composed(&builder.start().await).await;
}

#[tokio::test]
async fn a_dependency_that_serves_no_import_or_cannot_is_refused() {
    for (name, file, words) in [
        (
            "link:stores/cells@1.0.0",
            "store.wasm",
            ["link:stores/cells@1.0.0", "user"],
        ),
        (CELLS, "missing.wasm", ["missing.wasm", "user"]),
        (CELLS, "text.wasm", [CELLS, "no WebAssembly component"]),
        (CELLS, "other.wasm", [CELLS, "user"]),
    ] {
        let builder = depending(name, &format!("path = {file:?}"))
            .file("text.wasm", "not a component")
            .file(
                "other.wasm",
                fs::read(fixture("link-fault-callee")).expect("the fixture is readable"),
            );
        let failure = builder.fail().await;
        assert!(failure.status.code().is_some_and(|code| code != 0), "{failure:?}");
        for word in words {
            assert!(
                failure.stderr.contains(word),
                "{name} by {file}: no {word:?} in:\n{}",
                failure.stderr
            );
        }
        assert!(!failure.stderr.contains("panicked"), "{}", failure.stderr);
    }
}

/// A server that answers everything with one file.
struct Files {
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl Files {
    async fn serve(content: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let server = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => break,
                    }
                }
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    content.len()
                );
                // A client that has seen enough may leave.
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.write_all(&content).await;
            }
        });
        Self { address, server }
    }

    fn dependency(&self, digest: &str) -> String {
        format!(
            "url = \"http://{}/store.wasm\", digest = \"sha256:{digest}\", inherit_configuration = true",
            self.address
        )
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn sha256(bytes: &[u8]) -> String {
    let digest = digest(&SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_url_is_fetched_once_and_composed() {
    let files = Files::serve(store()).await;
    let builder = user(&files.dependency(&sha256(&store()))).own_cache();
    let host = builder.start().await;
    assert_composed(&host).await;
    host.stop().await;
    // Who has it needs no server.
    drop(files);
    let again = builder.start().await;
    assert_eq!(again.get("/other/get/key").await.text(), "ok value\n");
}

#[tokio::test]
async fn a_url_that_gives_something_else_is_refused_with_both_digests() {
    let files = Files::serve(b"something else".to_vec()).await;
    let wanted = sha256(&store());
    let builder = user(&files.dependency(&wanted)).own_cache();
    let failure = builder.fail().await;
    for word in [&wanted, &sha256(b"something else"), "store.wasm"] {
        assert!(
            failure.stderr.contains(word),
            "no {word:?} in:\n{}",
            failure.stderr
        );
    }
    assert!(
        !holds(builder.folder(), b"something else"),
        "what was refused is kept"
    );
}

/// Whether any file below the folder is that content.
fn holds(folder: &Path, content: &[u8]) -> bool {
    let entries = fs::read_dir(folder).expect("the folder is readable");
    entries.flatten().map(|entry| entry.path()).any(|path| {
        if path.is_dir() {
            holds(&path, content)
        } else {
            fs::read(&path).is_ok_and(|bytes| bytes == content)
        }
    })
}
