//! Events and log lines as they come, to quick readers and to slow ones.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::super::{MAX_STALL, MAX_STREAMS};
use super::client::{Api, Ask, Reply, unchunked};
use super::examples::{event, line};
use super::fake::QUEUE;
use super::{document, schema};

const EVENTS: &str = "/v1/apps/shop/events";
const LOGS: &str = "/v1/apps/shop/services/catalog/logs";

/// A stream that is being read.
struct Reader {
    stream: DuplexStream,
    bytes: Vec<u8>,
}

impl Reader {
    async fn open(api: &Api, request: Ask) -> Self {
        let mut stream = api.connect();
        stream.write_all(&request.bytes()).await.unwrap();
        let mut reader = Self {
            stream,
            bytes: Vec::new(),
        };
        while !reader.bytes.windows(4).any(|four| four == b"\r\n\r\n") {
            assert!(reader.more().await, "no answer");
        }
        reader
    }

    async fn more(&mut self) -> bool {
        matches!(self.stream.read_buf(&mut self.bytes).await, Ok(1..))
    }

    /// What came of the body.
    fn text(&self) -> String {
        let end = self
            .bytes
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        String::from_utf8(unchunked(&self.bytes[end + 4..])).unwrap()
    }

    async fn until(&mut self, wanted: &str) -> String {
        loop {
            let text = self.text();
            if text.contains(wanted) {
                return text;
            }
            assert!(self.more().await, "it ended without {wanted:?}: {text}");
        }
    }

    async fn end(mut self) -> Reply {
        while self.more().await {}
        assert!(self.bytes.ends_with(b"0\r\n\r\n"), "it did not end in order");
        Reply::parse(&self.bytes)
    }
}

/// Number, name and data of each event.
fn events(text: &str) -> Vec<(Option<u64>, String, Value)> {
    let mut events = Vec::new();
    for block in text.split_terminator("\n\n").filter(|block| *block != ":") {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
        let name = field("event: ").unwrap();
        let data: Value = serde_json::from_str(field("data: ").unwrap()).unwrap();
        let of = if name == "lagged" { "Lagged" } else { "Event" };
        let faults = schema::faults(document::parsed(), schema::named(document::parsed(), of), &data);
        assert!(faults.is_empty(), "{faults:?}");
        events.push((field("id: ").map(|id| id.parse().unwrap()), name.to_owned(), data));
    }
    events
}

fn lines(text: &str) -> Vec<Value> {
    let line_of = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let schema = schema::named(document::parsed(), "LogLine");
        assert_eq!(
            schema::faults(document::parsed(), schema, &line),
            Vec::<String>::new()
        );
        line
    };
    text.lines().map(line_of).collect()
}

#[tokio::test]
async fn events_come_as_they_happen_until_the_host_drains() {
    let api = Api::start();
    let mut reader = Reader::open(&api, Ask::get(EVENTS)).await;
    assert_eq!(api.fake.calls(), [("events", json!([null]))]);
    api.fake.events.send(event(1)).unwrap();
    reader.until("id: 1\n").await;
    api.fake.events.send(event(2)).unwrap();
    api.tasks.begin_drain();
    let reply = reader.end().await;
    assert_eq!(reply.header("content-type"), "text/event-stream");
    assert_eq!(reply.header("cache-control"), "no-store");
    let told = events(&reply.text());
    assert_eq!(told.len(), 2, "what happened before the drain is told");
    assert_eq!((told[1].0, told[1].1.as_str()), (Some(2), "published"));
    assert_eq!(told[1].2, serde_json::to_value(event(2)).unwrap());
    let late = api.ask(&Ask::get(EVENTS)).await;
    assert_eq!(late.status, 503);
    assert_eq!(late.json()["kind"], "stopping");
}

#[tokio::test]
async fn a_reader_that_comes_back_goes_on_where_it_was() {
    let api = Api::start();
    *api.fake.past.lock() = (1..=4).map(event).collect();
    let request = Ask::get(EVENTS).header("last-event-id", "2");
    let mut reader = Reader::open(&api, request).await;
    assert_eq!(api.fake.calls(), [("events", json!([2]))]);
    // The last of the past may come again as the first of what follows.
    api.fake.events.send(event(4)).unwrap();
    api.fake.events.send(event(5)).unwrap();
    let told = events(&reader.until("id: 5\n").await);
    let ids: Vec<_> = told.iter().map(|(id, ..)| id.unwrap()).collect();
    assert_eq!(ids, [3, 4, 5]);

    // Of a host that was started anew, whose events are counted from 1 again.
    let request = Ask::get(EVENTS).header("last-event-id", "900");
    let mut reader = Reader::open(&api, request).await;
    api.fake.events.send(event(6)).unwrap();
    assert_eq!(events(&reader.until("id: 6\n").await).len(), 1);

    for bad in ["x", "-1", "1.5", ""] {
        let reply = api.ask(&Ask::get(EVENTS).header("last-event-id", bad)).await;
        assert_eq!(reply.status, 400, "{bad:?}");
    }
}

#[tokio::test]
async fn a_reader_that_lags_is_told_how_much_it_lost_and_goes_on() {
    let api = Api::start();
    let mut reader = Reader::open(&api, Ask::get(EVENTS)).await;
    // All at once, and no task runs in between: more than wait for a reader.
    let sent = QUEUE as u64 + 3;
    for id in 1..=sent {
        api.fake.events.send(event(id)).unwrap();
    }
    let told = events(&reader.until(&format!("id: {sent}\n")).await);
    assert_eq!(
        (told[0].0, told[0].1.as_str(), &told[0].2),
        (None, "lagged", &json!({ "lost": 3 }))
    );
    let ids: Vec<_> = told[1..].iter().map(|(id, ..)| id.unwrap()).collect();
    assert_eq!(ids, (4..=sent).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_comment_every_15_seconds_shows_that_the_stream_lives() {
    let api = Api::start();
    let mut reader = Reader::open(&api, Ask::get(EVENTS)).await;
    let begun = tokio::time::Instant::now();
    assert_eq!(reader.until(":\n\n:\n\n").await, ":\n\n:\n\n");
    assert_eq!(begun.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_nothing_is_cut_and_its_place_is_free() {
    let api = Api::start();
    let reader = Reader::open(&api, Ask::get(EVENTS)).await;
    assert_eq!(api.server.streams.available_permits(), MAX_STREAMS - 1);
    let begun = tokio::time::Instant::now();
    let mut big = event(1);
    while api.server.streams.available_permits() < MAX_STREAMS {
        big.id += 1;
        big.detail = "x".repeat(10_000);
        let _ = api.fake.events.send(big.clone());
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(begun.elapsed() < 3 * MAX_STALL, "it holds its place for ever");
    }
    drop(reader);
}

#[tokio::test]
async fn a_client_that_leaves_frees_its_place() {
    let api = Api::start();
    let reader = Reader::open(&api, Ask::get(format!("{LOGS}?follow=true"))).await;
    assert_eq!(api.server.streams.available_permits(), MAX_STREAMS - 1);
    drop(reader);
    while api.server.streams.available_permits() < MAX_STREAMS {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn streams_leave_room_for_everything_else() {
    let api = Api::start();
    let mut open = Vec::new();
    for _ in 0..MAX_STREAMS {
        open.push(Reader::open(&api, Ask::get(EVENTS)).await);
    }
    for path in [EVENTS.to_owned(), format!("{LOGS}?follow=true")] {
        let reply = api.ask(&Ask::get(&path)).await;
        assert_eq!((reply.status, reply.header("retry-after")), (503, "1"));
        assert!(
            reply.json()["detail"].as_str().unwrap().contains("32 streams"),
            "{path}"
        );
    }
    assert_eq!(
        api.ask(&Ask::get(LOGS)).await.status,
        200,
        "what ends by itself is no stream"
    );
    assert_eq!(api.ask(&Ask::get("/v1/apps")).await.status, 200);
    drop(open);
}

#[tokio::test]
async fn logs_end_with_what_is_there_unless_they_are_followed() {
    let api = Api::start();
    let mut other = line("four");
    other.revision = "f5e4d3c2b1a0".into();
    *api.fake.lines_past.lock() = vec![line("one"), line("two"), line("three"), other];
    let texts = async |query: &str| {
        let reply = api.ask(&Ask::get(format!("{LOGS}{query}"))).await;
        assert_eq!(reply.header("content-type"), "application/x-ndjson");
        let texts: Vec<_> = lines(&reply.text())
            .iter()
            .map(|line| line["text"].as_str().unwrap().to_owned())
            .collect();
        texts.join(" ")
    };
    assert_eq!(texts("").await, "one two three four");
    assert_eq!(texts("?follow=false").await, "one two three four");
    assert_eq!(texts("?tail=2").await, "three four");
    assert_eq!(texts("?tail=0").await, "");
    assert_eq!(texts("?tail=9999").await, "one two three four");
    assert_eq!(texts("?tail=2&revision=0a1b").await, "two three");
    assert_eq!(texts("?revision=f").await, "four");
    let missing = api.ask(&Ask::get("/v1/apps/shop/services/nothing/logs")).await;
    assert_eq!(missing.status, 404);
}

#[tokio::test]
async fn followed_logs_go_on_with_the_lines_of_the_revision_that_is_asked_for() {
    let api = Api::start();
    *api.fake.lines_past.lock() = vec![line("old"), line("before")];
    let request = Ask::get(format!("{LOGS}?follow=true&tail=1&revision=0a"));
    let mut reader = Reader::open(&api, request).await;
    assert_eq!(api.fake.calls(), [("logs", json!(["catalog", true]))]);
    reader.until("before").await;
    let mut other = line("of another");
    other.revision = "f5e4d3c2b1a0".into();
    api.fake.lines.send(other).unwrap();
    api.fake.lines.send(line("after")).unwrap();
    reader.until("after").await;
    api.tasks.begin_drain();
    let texts: Vec<_> = lines(&reader.end().await.text())
        .iter()
        .map(|line| line["text"].clone())
        .collect();
    assert_eq!(texts, ["before", "after"]);
}

#[tokio::test]
async fn lines_that_a_slow_reader_lost_are_told_in_their_place() {
    let api = Api::start();
    let mut reader = Reader::open(&api, Ask::get(format!("{LOGS}?follow=true"))).await;
    for count in 1..=QUEUE + 2 {
        api.fake.lines.send(line(&format!("line {count}"))).unwrap();
    }
    let told = lines(&reader.until(&format!("line {}\"", QUEUE + 2)).await);
    assert_eq!(told[0]["stream"], "host");
    assert_eq!(
        told[0]["text"],
        "2 lines are missing here: they were read too slowly"
    );
    assert_eq!(told[1]["text"], "line 3");
    assert_eq!(told.len(), QUEUE + 1);
}
