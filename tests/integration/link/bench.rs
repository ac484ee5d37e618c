//! Every case of the benchmark of live links, once, so that it is still one when somebody wants its figures.

use midplane_bench::link::{CASES, Guests, WAYS, manifest};

use crate::harness::{TestHost, fixture};

#[tokio::test]
async fn every_case_of_the_benchmark_runs() {
    let [caller_p2, caller_p3, callee_p2, callee_p3] = [
        "link-bench-caller-p2",
        "link-bench-caller-p3",
        "link-bench-callee-p2",
        "link-bench-callee-p3",
    ]
    .map(fixture);
    let manifest = manifest(Guests {
        caller_p2: &caller_p2,
        caller_p3: &caller_p3,
        callee_p2: &callee_p2,
        callee_p3: &callee_p3,
    });
    let host = TestHost::builder().manifest(manifest).start().await;
    for way in WAYS {
        for case in CASES {
            let answer = host.get(&way.path(case, 3, 2)).await;
            let text = answer.text();
            let what = format!("{} {case}: {} {text}", way.name, answer.status);
            assert_eq!(answer.status, 200, "{what}{}", host.log_text());
            let times: Vec<u64> = text.split_whitespace().flat_map(str::parse).collect();
            let [total, median, high] = times[..] else {
                panic!("no three numbers: {what}");
            };
            assert!(total > 0 && median <= high && high <= total, "{what}");
        }
    }
    let answer = host.get("/p3-p3/plain/unheard-of/1").await;
    assert_eq!(
        (answer.status.as_u16(), answer.text().as_str()),
        (404, "no such case\n")
    );
}
