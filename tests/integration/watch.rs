//! `midplane up --watch`: files of an app are saved while it is served, and clients look.
//!
//! A [`Project`] is an app in a folder of its own, whose services take no compiler: the text file `a.txt` is the source of the
//! service `a`, and its build copies the component that the text names. What the components answer with is that name.

mod app;
mod build;
mod end;
mod scaffold;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use midplane_storm::stamp::stripped;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::harness::{Builder, Line, Protocol, TestHost, eventually, fixture};

/// How a service is built: what its source names is copied. `NAME` is the service's.
const COPY: &str = "echo copying for NAME && cp parts/$(cat NAME.txt).wasm NAME.wasm";

/// The same, once there is a file `go`. The process is in the file `pid`.
const WAIT: &str = "echo $$ > pid.new && mv pid.new pid && while ! test -e go; do sleep 0.02; done; \
                    cp parts/$(cat NAME.txt).wasm NAME.wasm";

/// The component of the fixture `swap` as a revision with this name, 16 letters at most.
fn component(name: &str) -> Vec<u8> {
    const STAMP: &[u8] = b"swap-stamp:";
    assert!(name.len() <= 16, "{name} is too long for a stamp");
    let text = format!("good_:{name:_<16}");
    let component = fs::read(fixture("swap")).expect("the fixture is built");
    let mut component = stripped(&component).expect("the fixture is a component");
    let place = component.windows(STAMP.len()).position(|bytes| bytes == STAMP);
    let place = place.expect("the fixture has a stamp") + STAMP.len();
    component[place..place + text.len()].copy_from_slice(text.as_bytes());
    component
}

/// An app in a folder, and a host that will watch it.
struct Project {
    builder: Builder,
    folder: PathBuf,
    routes: String,
    tables: String,
}

impl Project {
    /// Without services yet; there are the components `r1`, `r2` and `r3` for them, and a file that is none.
    fn new() -> Self {
        let builder = TestHost::builder().arg("--watch");
        let folder = builder.folder().to_owned();
        for name in ["r1", "r2", "r3"] {
            save(&folder, &format!("parts/{name}.wasm"), component(name));
        }
        save(&folder, "parts/text.wasm", "this is no component");
        Self {
            builder,
            folder,
            routes: String::new(),
            tables: String::new(),
        }
    }

    /// Two services, `a` and `b`.
    fn two() -> Self {
        Self::new().service("a", COPY, "").service("b", COPY, "")
    }

    /// A service at `/NAME/...` with the source `r1`, which is built, and further lines of its table.
    fn service(mut self, name: &str, command: &str, lines: &str) -> Self {
        self.routes.push_str(&route(&format!("/{name}/..."), name));
        self.tables.push_str(&service(name, command, lines));
        self.file(&format!("{name}.txt"), "r1")
            .file(&format!("{name}.wasm"), component("r1"))
    }

    /// Tables of the manifest, word for word.
    fn tables(mut self, text: &str) -> Self {
        writeln!(self.tables, "\n{text}").expect("a string takes text");
        self
    }

    fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        save(&self.folder, name, content);
        self
    }

    /// Starts a host and waits until it serves.
    async fn start(self) -> Watched {
        let Self { routes, tables, .. } = &self;
        let manifest =
            format!("spin_manifest_version = 2\n\n[application]\nname = \"test\"\n{routes}{tables}");
        let builder = self.builder.manifest(manifest.clone());
        Watched {
            host: builder.start().await,
            folder: self.folder,
            manifest,
        }
    }
}

/// The table of a route.
fn route(route: &str, service: &str) -> String {
    format!("\n[[trigger.http]]\nroute = {route:?}\ncomponent = {service:?}\n")
}

/// The tables of a service.
fn service(name: &str, command: &str, lines: &str) -> String {
    let command = command.replace("NAME", name);
    format!(
        "\n[component.{name}]\nsource = \"{name}.wasm\"\n{lines}\n\
         [component.{name}.build]\ncommand = {command:?}\nwatch = [\"{name}.txt\"]\n"
    )
}

/// Saves a file as many editors do: beside the old one, and then in its place.
fn save(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    let (path, new) = (folder.join(name), folder.join(".new~"));
    fs::create_dir_all(path.parent().expect("a file has a folder")).expect("the folder is ours");
    fs::write(&new, content).expect("the folder is ours");
    fs::rename(&new, &path).expect("the folder is ours");
}

/// An app that is served and watched.
struct Watched {
    host: TestHost,
    folder: PathBuf,
    /// The manifest as it was at the start.
    manifest: String,
}

impl Watched {
    fn save(&self, name: &str, content: impl AsRef<[u8]>) {
        save(&self.folder, name, content);
    }

    /// Waits for a line of the log that has this in its text, past or to come.
    async fn hears(&self, text: &str) -> Line {
        let wanted = |line: &Line| line.message().contains(text);
        self.host.wait_for_log(&format!("{text:?}"), wanted).await
    }

    /// Waits until a GET is answered with this text.
    async fn serves(&self, path: &str, text: &str) {
        eventually(&format!("{path} to answer {text:?}"), async || {
            self.get(path).await == (StatusCode::OK, text.to_owned())
        })
        .await;
    }

    /// A GET on a connection of its own.
    async fn get(&self, path: &str) -> (StatusCode, String) {
        let answer = self.host.get(path).await;
        (answer.status, answer.text().trim_end().to_owned())
    }

    /// What the log says of a service, without what its guests print.
    fn said_of(&self, service: &str) -> Vec<String> {
        let lines = self.host.lines().into_iter();
        let lines = lines.filter(|line| line.field("service") == service && line.field("stream").is_empty());
        lines.map(|line| line.message()).collect()
    }

    /// The identity of the current revision of each service.
    async fn revisions(&self) -> BTreeMap<String, String> {
        let services = self.ask("/services").await;
        let services = services["services"].as_array().expect("it is a list");
        let revision = |service: &Value| (text(&service["service"]), text(&service["current"]["revision"]));
        services.iter().map(revision).collect()
    }

    /// The journal, the newest entry first.
    async fn history(&self) -> Vec<Value> {
        let history = self.ask("/history?limit=500").await;
        history["entries"].as_array().expect("it is a list").clone()
    }

    async fn ask(&self, rest: &str) -> Value {
        let answer = self.host.admin_get(&format!("/v1/apps/test{rest}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{rest}: {answer:?}");
        answer.json()
    }

    /// A client that asks without a pause over one connection.
    async fn client(&self, path: &str, protocol: Protocol) -> Client {
        let client = Client::start(&self.host, path, protocol).await;
        eventually("a first answer", async || !client.seen().is_empty()).await;
        client
    }
}

/// A client that asks again and again over one connection.
struct Client {
    answers: Arc<Mutex<Vec<String>>>,
    over: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Client {
    async fn start(host: &TestHost, path: &str, protocol: Protocol) -> Self {
        let (answers, over) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicBool>::default());
        let connection = host.connect(protocol).await;
        let (path, told, ends) = (path.to_owned(), answers.clone(), over.clone());
        let task = tokio::spawn(async move {
            loop {
                // What was in force when it was told to end, the last request meets.
                let is_last = ends.load(Ordering::Relaxed);
                // It panics where the connection is cut.
                let answer = connection.get(&path).await;
                assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
                let text = answer.text().trim_end().to_owned();
                note(&told, text);
                if is_last {
                    return;
                }
                // Others have to work too.
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        Self { answers, over, task }
    }

    /// The answers so far, each once for as long as it stayed the same.
    fn seen(&self) -> Vec<String> {
        self.answers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Asks once more, ends, and gives all that it saw. Fails the test if an answer was not a 200 or the connection was cut.
    async fn end(self) -> Vec<String> {
        self.over.store(true, Ordering::Relaxed);
        let seen = self.answers.clone();
        self.task.await.expect("every request is answered with 200");
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.clone()
    }
}

/// Adds an answer, unless it is the same as the last one.
fn note(answers: &Mutex<Vec<String>>, text: String) {
    let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
    if answers.last() != Some(&text) {
        answers.push(text);
    }
}

/// A text of a JSON document.
fn text(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => panic!("{value} is no text"),
    }
}

/// The services that an entry of the journal changed.
fn changed(entry: &Value) -> Vec<String> {
    let changes = entry["changes"].as_array().expect("an entry has changes");
    changes.iter().map(|change| text(&change["service"])).collect()
}
