//! `midplane::testing`: one service at a time, in this very process, its links stubbed.

mod example;
mod exported;
mod orders;
mod served;
mod stubbed;

use http::Request;

fn get(path: &str) -> Request<&'static str> {
    Request::get(path).body("").expect("the request is valid")
}

/// The text of a response's body.
fn text(response: &http::Response<bytes::Bytes>) -> String {
    String::from_utf8_lossy(response.body()).into_owned()
}
