//! An app of a test: its manifest, its folder, and the commands that are run in it.

use super::*;

/// A manifest of the app `test`. The component of a service is the file with its name.
#[derive(Clone)]
pub(super) struct Manifest {
    app: String,
    head: String,
    tables: String,
}

impl Manifest {
    pub(super) fn new() -> Self {
        Self {
            app: "test".to_owned(),
            head: String::new(),
            tables: String::new(),
        }
    }

    /// Of another app.
    pub(super) fn named(mut self, app: &str) -> Self {
        app.clone_into(&mut self.app);
        self
    }

    /// A service that is reached by `/NAME/...`, with further lines of its table.
    pub(super) fn service(self, name: &str, lines: &str) -> Self {
        self.hidden(name, lines).route(&format!("/{name}/..."), name)
    }

    /// A service without a route.
    pub(super) fn hidden(mut self, name: &str, lines: &str) -> Self {
        let source = format!("{name}.wasm");
        writeln!(self.tables, "\n[component.{name}]\nsource = {source:?}\n{lines}")
            .expect("a string takes text");
        self
    }

    pub(super) fn route(mut self, route: &str, service: &str) -> Self {
        write!(
            self.head,
            "\n[[trigger.http]]\nroute = {route:?}\ncomponent = {service:?}\n"
        )
        .expect("a string takes text");
        self
    }

    /// Tables word for word.
    pub(super) fn tables(mut self, text: &str) -> Self {
        writeln!(self.tables, "\n{text}").expect("a string takes text");
        self
    }

    pub(super) fn text(&self) -> String {
        let Self { app, head, tables } = self;
        format!("spin_manifest_version = 2\n\n[application]\nname = {app:?}\n{head}{tables}")
    }
}

/// An app in a folder, with its components and its state. What it says of itself goes on from host to host.
pub(super) struct Stage {
    pub(super) builder: Builder,
    pub(super) folder: PathBuf,
}

impl Stage {
    /// Without a component file yet.
    pub(super) fn new(manifest: &Manifest) -> Self {
        let builder = TestHost::builder();
        let folder = builder.folder().to_owned();
        let builder = builder.state_dir(folder.join(".midplane"));
        Self { builder, folder }.manifest(manifest)
    }

    /// One service `a` at `/a/...`, good, with the name `r1`.
    pub(super) fn one() -> Self {
        let stage = Self::new(&Manifest::new().service("a", ""));
        stage.put("a.wasm", good("r1"));
        stage
    }

    /// A linked pair, `front` at `/front/...` and `back` behind it, both number 1.
    pub(super) fn pair() -> Self {
        let stage = Self::new(&pair());
        stage.put("front.wasm", front(Condition::Good, 1));
        stage.put("back.wasm", back(Condition::Good, 1));
        stage
    }

    /// Writes another manifest, which hosts that start from now on find as well.
    pub(super) fn manifest(self, manifest: &Manifest) -> Self {
        self.manifest_text(&manifest.text())
    }

    /// The same, word for word.
    pub(super) fn manifest_text(self, text: &str) -> Self {
        self.put("spin.toml", text);
        self.with(|builder| builder.manifest(text))
    }

    /// With other settings of its hosts.
    pub(super) fn with(self, settings: impl FnOnce(Builder) -> Builder) -> Self {
        Self {
            builder: settings(self.builder),
            folder: self.folder,
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a file into the folder: in one step, so that no host reads half of it.
    pub(super) fn put(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let (path, new) = (self.path(name), self.path(".new"));
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("the folder is ours");
        fs::write(&new, content).expect("the folder is ours");
        fs::rename(&new, &path).expect("the folder is ours");
        path
    }

    /// Where the host keeps what outlives it.
    pub(super) fn state(&self) -> PathBuf {
        self.path(".midplane")
    }

    /// Starts a host and waits until it serves.
    pub(super) async fn start(&self) -> TestHost {
        self.builder.start().await
    }

    /// Starts a host that is expected to end without serving.
    pub(super) async fn fail(&self) -> Finished {
        self.builder.fail().await
    }

    /// Runs a command in the folder to its end, however it ends.
    pub(super) async fn cli(&self, arguments: &[&str]) -> Finished {
        self.cli_with(arguments, &[]).await
    }

    /// The same with variables of the environment.
    pub(super) async fn cli_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Finished {
        let mut command = program();
        command.current_dir(&self.folder).args(arguments);
        command.env("USER", "tester").envs(environment.iter().copied());
        Finished::by(command).await
    }

    /// Runs a command that is expected to end with this code.
    pub(super) async fn exits(&self, code: i32, arguments: &[&str]) -> Finished {
        let finished = self.cli(arguments).await;
        assert_eq!(finished.status.code(), Some(code), "{arguments:?}: {finished:?}");
        finished
    }

    /// Runs a command that is expected to go well, and returns what it printed.
    pub(super) async fn done(&self, arguments: &[&str]) -> String {
        self.exits(0, arguments).await.stdout
    }

    /// The same in JSON.
    pub(super) async fn json(&self, arguments: &[&str]) -> Value {
        let printed = self.done(&[arguments, &["--format", "json"]].concat()).await;
        match serde_json::from_str(&printed) {
            Ok(value) => value,
            Err(error) => panic!("{arguments:?} prints no JSON ({error}): {printed}"),
        }
    }

    /// Writes a component and deploys it, which is expected to go well.
    pub(super) async fn deploy(&self, service: &str, component: impl AsRef<[u8]>) -> Value {
        let file = self.put("deployed.wasm", component);
        self.json(&[
            "deploy",
            service,
            file.to_str().expect("a temporary folder is text"),
        ])
        .await
    }

    /// Writes a component and deploys it, which is expected to be refused. Returns what is said on standard error.
    pub(super) async fn refused(&self, service: &str, component: impl AsRef<[u8]>) -> String {
        let file = self.put("deployed.wasm", component);
        let file = file.to_str().expect("a temporary folder is text");
        self.exits(3, &["deploy", service, file]).await.stderr
    }

    /// Entries of the journal, the newest first.
    pub(super) async fn history(&self) -> Vec<Value> {
        let history = self.json(&["history", "--limit", "1000"]).await;
        history["entries"]
            .as_array()
            .expect("a history has entries")
            .clone()
    }

    /// The newest entry of the journal.
    pub(super) async fn newest(&self) -> Value {
        self.history().await.swap_remove(0)
    }

    /// The identity of the current revision of a service.
    pub(super) async fn revision(&self, service: &str) -> String {
        let status = self.json(&["status", service]).await;
        text(&status["current"]["revision"])
    }

    /// The identities of all current revisions.
    pub(super) async fn current(&self) -> BTreeMap<String, String> {
        let status = self.json(&["status"]).await;
        let services = status["services"].as_array().expect("an app has services");
        let current = |service: &Value| {
            let revision = text(&service["current"]["revision"]);
            (text(&service["service"]), revision)
        };
        services.iter().map(current).collect()
    }

    /// The token of the admin API, once a host has started.
    pub(super) fn token(&self) -> String {
        midplane_storm::host::token(&self.state()).expect("a host that serves has a token")
    }

    /// The admin API of the host.
    pub(super) fn api(&self, host: &TestHost) -> Api {
        Api {
            address: host.admin,
            token: self.token(),
        }
    }
}

/// The manifest of [`Stage::pair`].
pub(super) fn pair() -> Manifest {
    Manifest::new().service("front", "").hidden("back", "")
}
