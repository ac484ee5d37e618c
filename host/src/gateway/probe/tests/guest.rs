//! Guests of WASI 0.2 that answer every request in one way, built from what they do with it.

use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

/// As much of WASI as these guests use; the host is held to its types when it links them.
const WIT: &str = "
package test:guest;

world guest {
    import wasi:http/types@0.2.0;
    export wasi:http/incoming-handler@0.2.0;
}

package wasi:io@0.2.0 {
    interface error { resource error; }
    interface streams {
        use error.{error};
        variant stream-error { last-operation-failed(error), closed }
        resource output-stream {
            blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
        }
    }
}

package wasi:http@0.2.0 {
    interface types {
        use wasi:io/streams@0.2.0.{output-stream};
        record DNS-error-payload { rcode: option<string>, info-code: option<u16> }
        record TLS-alert-received-payload { alert-id: option<u8>, alert-message: option<string> }
        record field-size-payload { field-name: option<string>, field-size: option<u32> }
        variant error-code {
            DNS-timeout, DNS-error(DNS-error-payload), destination-not-found, destination-unavailable,
            destination-IP-prohibited, destination-IP-unroutable, connection-refused, connection-terminated,
            connection-timeout, connection-read-timeout, connection-write-timeout, connection-limit-reached,
            TLS-protocol-error, TLS-certificate-error, TLS-alert-received(TLS-alert-received-payload),
            HTTP-request-denied, HTTP-request-length-required, HTTP-request-body-size(option<u64>),
            HTTP-request-method-invalid, HTTP-request-URI-invalid, HTTP-request-URI-too-long,
            HTTP-request-header-section-size(option<u32>), HTTP-request-header-size(option<field-size-payload>),
            HTTP-request-trailer-section-size(option<u32>), HTTP-request-trailer-size(field-size-payload),
            HTTP-response-incomplete, HTTP-response-header-section-size(option<u32>),
            HTTP-response-header-size(field-size-payload), HTTP-response-body-size(option<u64>),
            HTTP-response-trailer-section-size(option<u32>), HTTP-response-trailer-size(field-size-payload),
            HTTP-response-transfer-coding(option<string>), HTTP-response-content-coding(option<string>),
            HTTP-response-timeout, HTTP-upgrade-failed, HTTP-protocol-error, loop-detected,
            configuration-error, internal-error(option<string>),
        }
        resource fields { constructor(); }
        type trailers = fields;
        resource incoming-request { path-with-query: func() -> option<string>; }
        resource outgoing-response {
            constructor(headers: fields);
            set-status-code: func(status-code: u16) -> result;
            body: func() -> result<outgoing-body>;
        }
        resource outgoing-body {
            write: func() -> result<output-stream>;
            finish: static func(this: outgoing-body, trailers: option<trailers>) -> result<_, error-code>;
        }
        resource response-outparam {
            set: static func(param: response-outparam, response: result<outgoing-response, error-code>);
        }
    }
    interface incoming-handler {
        use types.{incoming-request, response-outparam};
        handle: func(request: incoming-request, response-out: response-outparam);
    }
}
";

/// What a guest does with a request.
pub(super) enum Does {
    /// Answers with this status and this text.
    Answers(u16, &'static str),
    /// Answers 200 and the path with its query.
    Echoes,
    /// Answers 200 and writes for as long as it may.
    WritesOn,
    /// Answers 200, writes, and traps before the end.
    FailsAfterwards,
    /// Traps at once.
    Traps,
    /// Computes until it is stopped.
    Computes,
    /// Returns without an answer.
    SaysNothing,
}

/// The bytes of a component.
pub(super) fn component(does: &Does) -> Vec<u8> {
    let (status, data) = match does {
        Does::Answers(status, text) => (*status, *text),
        _ => (200, "text"),
    };
    let written = format!("(call $write (i32.const 1024) (i32.const {}))", data.len());
    let path = "(call $path (local.get $request) (i32.const 16))";
    let work = match does {
        Does::Answers(..) => written,
        Does::Echoes => {
            format!("{path} (call $write (i32.load (i32.const 20)) (i32.load (i32.const 24)))")
        }
        Does::WritesOn => {
            "(loop $again (call $write (i32.const 4096) (i32.const 4096)) (br $again))".to_owned()
        }
        // More than is taken before the head is.
        Does::FailsAfterwards => "(call $write (i32.const 4096) (i32.const 4096))".repeat(32) + "unreachable",
        Does::Traps | Does::Computes | Does::SaysNothing => String::new(),
    };
    let handled = match does {
        Does::Traps => "unreachable".to_owned(),
        Does::Computes => "(loop $again (br $again))".to_owned(),
        Does::SaysNothing => String::new(),
        _ => format!("(call $begin (local.get $out)) {work} (call $end)"),
    };
    let core = format!(
        r#"(module
            (import "wasi:http/types@0.2.0" "[constructor]fields" (func $fields (result i32)))
            (import "wasi:http/types@0.2.0" "[method]incoming-request.path-with-query"
                (func $path (param i32 i32)))
            (import "wasi:http/types@0.2.0" "[constructor]outgoing-response"
                (func $response (param i32) (result i32)))
            (import "wasi:http/types@0.2.0" "[method]outgoing-response.set-status-code"
                (func $status (param i32 i32) (result i32)))
            (import "wasi:http/types@0.2.0" "[method]outgoing-response.body" (func $body (param i32 i32)))
            (import "wasi:http/types@0.2.0" "[method]outgoing-body.write" (func $stream (param i32 i32)))
            (import "wasi:http/types@0.2.0" "[static]outgoing-body.finish"
                (func $finish (param i32 i32 i32 i32)))
            (import "wasi:http/types@0.2.0" "[static]response-outparam.set"
                (func $set (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
            (import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush"
                (func $flush (param i32 i32 i32 i32)))
            (import "wasi:io/streams@0.2.0" "[resource-drop]output-stream" (func $close (param i32)))
            (memory (export "memory") 2)
            (data (i32.const 1024) {data:?})
            (global $free (mut i32) (i32.const 65536))
            (global $outgoing (mut i32) (i32.const 0))
            (global $to (mut i32) (i32.const 0))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (global.get $free)
                (global.set $free (i32.add (global.get $free) (local.get 3))))
            (func $begin (param $out i32) (local $made i32)
                (local.set $made (call $response (call $fields)))
                (drop (call $status (local.get $made) (i32.const {status})))
                (call $body (local.get $made) (i32.const 16))
                (global.set $outgoing (i32.load (i32.const 20)))
                (call $stream (global.get $outgoing) (i32.const 16))
                (global.set $to (i32.load (i32.const 20)))
                (call $set (local.get $out) (i32.const 0) (local.get $made)
                    (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
            (func $write (param $from i32) (param $length i32)
                (call $flush (global.get $to) (local.get $from) (local.get $length) (i32.const 16)))
            (func $end
                (call $close (global.get $to))
                (call $finish (global.get $outgoing) (i32.const 0) (i32.const 0) (i32.const 64)))
            (func (export "wasi:http/incoming-handler@0.2.0#handle") (param $request i32) (param $out i32)
                {handled}))"#
    );
    let mut module = wat::parse_str(core).unwrap();
    let mut resolve = Resolve::default();
    let package = resolve.push_str("guest.wit", WIT).unwrap();
    let world = resolve.select_world(&[package], Some("guest")).unwrap();
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|encoder| encoder.encode())
        .unwrap()
}
