//! `kill -9` at times that nobody chose, while one revision after the other is deployed and a client looks.

use std::cell::RefCell;

use super::*;

/// The names of revisions whose files are deployed in turn.
const NAMES: [&str; 6] = ["v0", "v1", "v2", "v3", "v4", "v5"];

/// What a storm of deploys knows of one service, by the order in which deploys began.
struct Known {
    /// The names that were deployed, and what was served before the first.
    begun: Vec<&'static str>,
    /// So many of them were said to be published.
    published: usize,
}

/// Numbers that look random, each from the one before (xorshift64).
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[tokio::test]
async fn killed_at_any_time_in_a_storm_of_deploys_it_serves_what_was_published_and_nothing_else() {
    const KILLS: usize = 8;
    let stage = Stage::new(&Manifest::new().service("a", "")).with(Builder::default_cache);
    stage.put("a.wasm", good(NAMES[0]));
    for name in NAMES {
        stage.put(&format!("{name}.wasm"), good(name));
    }
    let crashing = Crashing::new(stage);
    let stage = &crashing.stage;
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH);
    let mut seed = since.expect("it is after 1970").as_nanos() as u64 | 1;
    println!("the seed is {seed}");
    let known = RefCell::new(Known {
        begun: vec![NAMES[0]],
        published: 1,
    });
    let mut answered = 0;
    for kill in 0..KILLS {
        let mut host = stage.start().await;
        let serves = says(&host, "/a/").await;
        {
            // One that was under way may have been published or not; now it is decided.
            let mut known = known.borrow_mut();
            let published = known.published;
            let at = (published - 1..known.begun.len()).find(|at| known.begun[*at] == serves);
            let at = at.unwrap_or_else(|| panic!("kill {kill}: {serves} after {:?}", known.begun));
            known.begun.truncate(at + 1);
            known.published = at + 1;
        }
        let admin = Connection::open(host.admin, Protocol::Http1).await;
        let token = stage.token();
        let mut deploys = random(&mut seed);
        let storm = async {
            loop {
                let name = NAMES[(random(&mut deploys) % NAMES.len() as u64) as usize];
                let path = stage.path(&format!("{name}.wasm"));
                let body = json!({ "services": { "a": { "path": named(&path) } } });
                let request = Request::post("/v1/apps/test/deploy")
                    .header("authorization", format!("Bearer {token}"))
                    .header("content-type", "application/json")
                    .body(full(body.to_string()));
                known.borrow_mut().begun.push(name);
                let answer = admin.exchange(request.expect("the test's path is valid")).await;
                let Ok(answer) = answer else { return };
                assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
                let mut known = known.borrow_mut();
                known.published = known.begun.len();
            }
        };
        let connection = host.connect(Protocol::Http1).await;
        // Some starts live long enough for several deploys, some for none.
        let last = random(&mut seed) % 150;
        let look = async {
            for number in 0.. {
                if number == last {
                    host.signal(Signal::KILL);
                }
                let before = known.borrow().published;
                let request = Request::get("/a/").body(full("")).expect("the path is valid");
                let Ok(answer) = connection.exchange(request).await else {
                    return;
                };
                assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
                answered += 1;
                let name = answer.text();
                let known = known.borrow();
                assert!(
                    known.begun[before - 1..].contains(&name.trim_end()),
                    "kill {kill}: {name} after {:?}",
                    &known.begun[before - 1..]
                );
            }
        };
        tokio::join!(storm, look);
        assert_eq!(host.finish().await.signal(), Some(Signal::KILL.as_raw()));
    }
    let host = stage.start().await;
    let manifest = Manifest::new().service("a", "").text();
    crashing.nothing_is_left_over(&host, &["a"], &[&manifest]).await;
    let begun = known.borrow().begun.len();
    println!("{answered} requests were answered, and {begun} deploys begun");
    let deploys = stage.history().await;
    let deploys = deploys.iter().filter(|entry| entry["action"] == "deploy");
    assert!(deploys.count() <= begun, "the journal has more than there was");
    stage.deploy("a", good("r9")).await;
    assert_eq!(says(&host, "/a/").await, "r9");
    host.stop().await;
}
