//! What every service of the shop shares at its HTTP edge: problems, routes, bodies, queries, responses.
//!
//! It knows HTTP (the types of the `http` crate, which are also those of `spin-sdk`) and JSON, and nothing of any
//! domain, so it compiles and is tested natively. A handler takes an `http::Request<B>` with any body type and
//! answers [`Response`], or a [`Problem`], which turns into one.

pub mod bearer;
pub mod body;
pub mod cursor;
pub mod openapi;
pub mod precondition;
pub mod problem;
pub mod query;
pub mod response;
pub mod route;
pub mod time;

pub use body::read_json;
pub use problem::Problem;
pub use query::read_query;
pub use response::{Response, json};
pub use route::{Match, Outcome, Route, match_route, route};
