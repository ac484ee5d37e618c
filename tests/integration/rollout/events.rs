//! Events of rollouts as they happen, over the admin API: server-sent events, as a dashboard reads them.

use super::*;

/// One event.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) id: u64,
    /// What the line `event` says.
    pub(super) name: String,
    pub(super) data: Value,
}

/// A stream of events.
pub(super) struct Events {
    body: Incoming,
    /// What was read and is no whole event yet.
    rest: String,
    _connection: Connection,
}

impl Events {
    /// All events of this host after number `after`, past ones first; without it only those to come.
    pub(super) async fn open(stage: &Stage, host: &TestHost, after: Option<u64>) -> Self {
        let mut request = asked(&stage.token());
        if let Some(after) = after {
            request = request.header("last-event-id", after.to_string());
        }
        let connection = Connection::open(host.admin, Protocol::Http1).await;
        let request = request.body(full("")).expect("the test's headers are valid");
        let response = connection.send(request).await.expect("the admin API answers");
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            body: response.into_body(),
            rest: String::new(),
            _connection: connection,
        }
    }

    /// The next event; nothing at the end, which a host that stops may bring in the middle of a chunk.
    pub(super) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((block, rest)) = self.rest.split_once("\n\n") {
                let event = parsed(block);
                self.rest = rest.to_owned();
                match event {
                    Some(event) => return Some(event),
                    None => continue,
                }
            }
            let frame = soon("the next event", self.body.frame()).await?.ok()?;
            let data = frame.into_data().expect("events have no trailers");
            self.rest.push_str(&String::from_utf8_lossy(&data));
        }
    }

    /// The events up to the first one that `wanted` accepts, with that one.
    pub(super) async fn until(&mut self, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            let is_last = wanted(&event);
            events.push(event);
            if is_last {
                return events;
            }
        }
        panic!("the events end without the one that is waited for: {events:?}");
    }
}

/// The fields of one block, nothing for one that has only comments.
fn parsed(block: &str) -> Option<Event> {
    let field = |name: &str| {
        let mut lines = block.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    let data = field("data")?;
    Some(Event {
        id: field("id")?.parse().expect("an event has a number"),
        name: field("event")?.to_owned(),
        data: serde_json::from_str(data).expect("an event's data is JSON"),
    })
}

fn asked(token: &str) -> http::request::Builder {
    Request::get("/v1/apps/test/events").header("authorization", format!("Bearer {token}"))
}

/// Names with what they are about, in order.
fn told(events: &[Event]) -> Vec<String> {
    let of = |event: &Event| format!("{} {}", event.name, event.data["service"].as_str().unwrap_or("-"));
    events.iter().map(of).collect()
}

#[tokio::test]
async fn a_deploy_is_told_in_order_and_a_reader_goes_on_where_it_was() {
    // Compiled here, and in no cache that others have filled.
    let stage = Stage::one().with(Builder::default_cache);
    let host = stage.start().await;
    let mut live = Events::open(&stage, &host, None).await;
    let outcome = stage.deploy("a", good("r2")).await;
    let events = live.until(|event| event.name == "retired").await;
    assert_eq!(
        told(&events),
        [
            "preparing a",
            "compiling a",
            "published a",
            "draining a",
            "retired a"
        ]
    );
    assert!(
        events.is_sorted_by(|one, next| one.id + 1 == next.id),
        "{events:?}"
    );
    for event in &events {
        assert_eq!(event.data["id"], event.id);
        assert_eq!(event.data["event"], event.name.as_str());
    }
    let change = &outcome["changes"][0];
    let [_, _, published, draining, retired] = events.as_slice() else {
        unreachable!("there are five");
    };
    let of = [(published, "to"), (draining, "from"), (retired, "from")];
    for (event, revision) in of.map(|(event, end)| (event, &change[end])) {
        assert_eq!(event.data["revision"], *revision, "{event:?}");
        assert_eq!(event.data["entry"], outcome["entry"], "{event:?}");
        assert_eq!(event.data["rollout"], outcome["generation"], "{event:?}");
    }
    assert_eq!(retired.data["interrupted"], 0);

    // One that was away reads what it missed, and then what comes.
    let mut again = Events::open(&stage, &host, Some(published.id)).await;
    stage.deploy("a", good("r1")).await;
    let rest = again
        .until(|event| event.name == "retired" && event.id > retired.id)
        .await;
    assert_eq!(rest[0].id, draining.id);
    let missed = ["draining a", "retired a"];
    assert_eq!(
        told(&rest),
        [missed.as_slice(), &["preparing a", "published a"], &missed].concat()
    );
    assert!(rest.is_sorted_by(|one, next| one.id + 1 == next.id), "{rest:?}");
    // Both readers are told the same.
    let live = live.until(|event| event.name == "retired").await;
    assert_eq!(told(&live), told(&rest[2..]));
    host.stop().await;
}

#[tokio::test]
async fn what_was_refused_is_told_with_its_reason_and_changes_nothing() {
    let stage = Stage::one();
    let host = stage.start().await;
    let mut events = Events::open(&stage, &host, None).await;
    stage.refused("a", "no component at all").await;
    let refused = events.until(|event| event.name == "refused").await;
    assert_eq!(told(&refused), ["preparing a", "refused a"]);
    let refused = &refused[1].data;
    let newest = stage.newest().await;
    assert_eq!(refused["entry"], newest["number"]);
    assert_eq!(refused["detail"], newest["cause"]);
    assert!(!text(&refused["detail"]).is_empty());
    assert_eq!(says(&host, "/a/").await, "r1");
    host.stop().await;
}

#[tokio::test]
async fn events_of_a_set_are_of_one_rollout_and_end_with_the_host() {
    let stage = Stage::pair();
    let host = stage.start().await;
    let mut events = Events::open(&stage, &host, None).await;
    let (one, other) = (
        stage.put("f2.wasm", front(Condition::Good, 2)),
        stage.put("b2.wasm", back(Condition::Good, 2)),
    );
    let sources = [
        format!("front={}", one.display()),
        format!("back={}", other.display()),
    ];
    let outcome = stage.json(&["deploy", &sources[0], &sources[1]]).await;
    let mut retired = 0;
    let mut published = BTreeSet::new();
    while retired < 2 {
        let event = events.next().await.expect("the host serves");
        match event.name.as_str() {
            "published" => {
                assert_eq!(retired, 0, "nothing retires before all is published");
                assert_eq!(event.data["rollout"], outcome["generation"]);
                assert_eq!(event.data["entry"], outcome["entry"]);
                published.insert(text(&event.data["service"]));
            }
            "retired" => retired += 1,
            "draining" => assert!(!published.is_empty(), "{event:?}"),
            "preparing" | "compiling" => assert!(published.is_empty(), "{event:?}"),
            other => panic!("nobody asked for {other}: {event:?}"),
        }
    }
    assert_eq!(published.into_iter().collect::<Vec<_>>(), ["back", "front"]);
    let (_, rest) = tokio::join!(host.stop(), events.next());
    assert!(rest.is_none(), "a host that stops ends the stream: {rest:?}");
}

#[tokio::test]
async fn events_are_for_who_has_the_token_and_for_no_page_of_another_origin() {
    let stage = Stage::one();
    let host = stage.start().await;
    let token = stage.token();
    let bare = || Request::get("/v1/apps/test/events");
    let host_name = host.admin.to_string();
    let cases = [
        (bare(), 401),
        (bare().header("authorization", "Bearer wrong"), 401),
        (asked(&token).header("origin", "https://evil.example"), 403),
        (asked(&token).header("host", "evil.example"), 403),
        (asked(&token).header("last-event-id", "yesterday"), 400),
        (
            bare()
                .uri("/v1/apps/other/events")
                .header("authorization", format!("Bearer {token}")),
            404,
        ),
    ];
    for (request, status) in cases {
        let request = request.body(full("")).expect("the test's headers are valid");
        let told = format!("{request:?}");
        let connection = Connection::open(host.admin, Protocol::Http1).await;
        let answer = connection.exchange(request).await.expect("the admin API answers");
        assert!(
            answer.status == status || (status == 403 && answer.status == 421),
            "{told}: {answer:?}"
        );
        assert_eq!(
            answer.header("content-type"),
            "application/problem+json",
            "{told}"
        );
        assert!(!answer.text().contains(&token), "{told}");
    }
    let own = asked(&token).header("origin", format!("http://{host_name}"));
    let connection = Connection::open(host.admin, Protocol::Http1).await;
    let own = own.body(full("")).expect("the test's headers are valid");
    let response = connection.send(own).await.expect("the admin API answers");
    assert_eq!(response.status(), StatusCode::OK);
    drop(connection);
    host.stop().await;
}
