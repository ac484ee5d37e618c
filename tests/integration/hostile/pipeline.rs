//! Many requests in one write.

use super::wire::{SMUGGLED, answers, talk};
use super::{guests, stop};

const COUNT: usize = 100;

fn requests(mut special: impl FnMut(usize) -> Option<&'static str>) -> String {
    (0..COUNT)
        .map(|number| match special(number) {
            Some(text) => text.to_owned(),
            None => {
                let close = if number + 1 == COUNT {
                    "connection: close\r\n"
                } else {
                    ""
                };
                let guest = if number % 2 == 0 { "p2" } else { "p3" };
                format!("GET /{guest}/headers?number={number} HTTP/1.1\r\nhost: test\r\n{close}\r\n")
            }
        })
        .collect()
}

#[tokio::test]
async fn a_hundred_requests_in_one_write_are_answered_once_each_and_in_order() {
    let host = guests().await;
    let text = requests(|_| None);
    let (said, closed) = talk(host.address, text.as_bytes(), false).await;
    let answers = answers(&said).expect("well framed");
    assert!(closed);
    assert_eq!(answers.len(), COUNT);
    for (number, answer) in answers.iter().enumerate() {
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, 200, "{body}");
        assert!(body.contains(&format!("?number={number}\"")), "{number}: {body}");
    }
    stop(host).await;
}

#[tokio::test]
async fn bodies_of_pipelined_requests_are_not_mixed() {
    let host = guests().await;
    let text: String = (0..COUNT)
        .map(|number| {
            let body = format!("{number}GET /p3/smuggled HTTP/1.1\r\nhost: test\r\n\r\n");
            let close = if number + 1 == COUNT {
                "connection: close\r\n"
            } else {
                ""
            };
            let (framing, body) = match number % 4 {
                0 | 1 => (format!("content-length: {}", body.len()), body.clone()),
                _ => (
                    "transfer-encoding: chunked".to_owned(),
                    format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()),
                ),
            };
            let path = if number % 4 == 0 {
                "/p2/upload-count"
            } else {
                "/p3/echo"
            };
            format!("POST {path} HTTP/1.1\r\nhost: test\r\n{close}{framing}\r\n\r\n{body}")
        })
        .collect();
    let (said, closed) = talk(host.address, text.as_bytes(), false).await;
    let answers = answers(&said).expect("well framed");
    assert!(closed);
    assert_eq!(answers.len(), COUNT);
    for (number, answer) in answers.iter().enumerate() {
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        let wanted = if number % 4 == 0 {
            "{\"bytes\":".to_owned()
        } else {
            format!("{number}GET ")
        };
        assert!(
            answer.status == 200 && body.starts_with(&wanted),
            "{number}: {answer:?}"
        );
    }
    stop(host).await;
}

#[tokio::test]
async fn a_failing_guest_in_the_middle_takes_only_its_own_answer() {
    let host = guests().await;
    let text = requests(|number| match number {
        30 => Some("GET /p2/trap-before-head HTTP/1.1\r\nhost: test\r\n\r\n"),
        60 => Some("GET /nowhere HTTP/1.1\r\nhost: test\r\n\r\n"),
        _ => None,
    });
    let (said, closed) = talk(host.address, text.as_bytes(), false).await;
    let answers = answers(&said).expect("well framed");
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert!(closed);
    let wanted: Vec<_> = (0..COUNT)
        .map(|number| match number {
            30 => 500,
            60 => 404,
            _ => 200,
        })
        .collect();
    assert_eq!(statuses, wanted);
    stop(host).await;
}

#[tokio::test]
async fn nothing_is_answered_after_a_malformed_request_in_the_middle() {
    let host = guests().await;
    for malformed in [
        "GET /p2/never HTTP/1.1\r\nhost: test\r\nx : 1\r\n\r\n",
        "GET /p2/never HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        "POST /p2/never HTTP/1.1\r\nhost: test\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ] {
        let text = requests(|number| match number {
            50 => Some(malformed),
            51.. => Some(SMUGGLED),
            _ => None,
        });
        let (said, closed) = talk(host.address, text.as_bytes(), false).await;
        let answers = answers(&said).expect("well framed");
        let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        assert!(closed);
        assert_eq!(statuses, [vec![200; 50], vec![400]].concat(), "{malformed:?}");
    }
    stop(host).await;
}
