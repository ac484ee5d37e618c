//! Who asks the host: the admin API, and clients whose requests last.

use super::*;

/// The admin API of a host, on a connection for each request.
pub(super) struct Api {
    pub(super) address: SocketAddr,
    pub(super) token: String,
}

impl Api {
    /// Asks for `/v1/apps/test` and what follows it.
    pub(super) async fn get(&self, rest: &str) -> Answer {
        self.ask(Method::GET, rest, "application/json", Vec::new()).await
    }

    pub(super) async fn post(&self, rest: &str, body: &Value) -> Answer {
        self.ask(
            Method::POST,
            rest,
            "application/json",
            body.to_string().into_bytes(),
        )
        .await
    }

    /// Uploads a component and returns its digest.
    pub(super) async fn upload(&self, component: Vec<u8>) -> String {
        let answer = self
            .ask(Method::PUT, "/components", "application/wasm", component)
            .await;
        assert!(answer.status.is_success(), "{answer:?}");
        text(&answer.json()["component"])
    }

    /// Uploads a component and deploys it.
    pub(super) async fn deploy(&self, service: &str, component: Vec<u8>) -> Answer {
        let digest = self.upload(component).await;
        self.post(
            "/deploy",
            &json!({ "services": { service: { "component": digest } } }),
        )
        .await
    }

    pub(super) async fn ask(&self, method: Method, rest: &str, media: &str, body: Vec<u8>) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(format!("/v1/apps/test{rest}"))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", media)
            .body(full(body))
            .expect("the test's path is valid");
        let connection = Connection::open(self.address, Protocol::Http1).await;
        connection.exchange(request).await.expect("the admin API answers")
    }
}

/// A request to `/hold`, which lasts as long as the test wants, on a connection of its own.
pub(super) struct Held {
    pub(super) body: Incoming,
    pub(super) sender: BodySender,
    pub(super) read: String,
    _connection: Connection,
}

impl Held {
    /// Begins one, and waits until the guest has begun to answer.
    pub(super) async fn open(host: &TestHost, service: &str, protocol: Protocol) -> Self {
        let connection = host.connect(protocol).await;
        let (sender, body) = streamed();
        let request = Request::post(format!("/{service}/hold")).body(body);
        let request = request.expect("the test's path is valid");
        let response = connection.send(request).await.expect("the host answers");
        assert_eq!(response.status(), StatusCode::OK);
        let mut held = Self {
            body: response.into_body(),
            sender,
            read: String::new(),
            _connection: connection,
        };
        held.line().await.expect("the guest begins to answer");
        held
    }

    /// Sends a piece and returns the line that answers it.
    pub(super) async fn say(&mut self, piece: &str) -> String {
        assert!(self.sender.data(piece.to_owned()).await, "the host reads no more");
        self.line().await.expect("the guest answers each piece")
    }

    /// Ends the request's body, and returns the whole answer; nothing if it was cut off.
    pub(super) async fn end(self) -> Option<String> {
        let Self {
            body,
            sender,
            mut read,
            _connection,
        } = self;
        drop(sender);
        let rest = soon("the end of a held request", body.collect()).await.ok()?;
        read.push_str(&String::from_utf8_lossy(&rest.to_bytes()));
        Some(read)
    }

    /// The next frame of the answer, which is a line; nothing if it was cut off.
    pub(super) async fn line(&mut self) -> Option<String> {
        let frame = soon("a piece of a held answer", self.body.frame()).await?;
        let data = frame.ok()?.into_data().ok()?;
        let line = String::from_utf8_lossy(&data).into_owned();
        self.read.push_str(&line);
        Some(line.trim_end().to_owned())
    }
}
