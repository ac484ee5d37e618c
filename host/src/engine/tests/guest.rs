//! The guests, as text: an HTTP handler whose code a test gives, functions of a contract, and start functions.

/// What guests import in order to wait: a test opens the door.
pub(super) const DOOR: &str = "test:gate/door@1.0.0";
/// What [`callee`] exports.
pub(super) const API: &str = "test:gate/api@1.0.0";

/// The error code of `wasi:http@0.2`, which the type of a response has in it.
const ERROR_CODE: &str = r#"
    (type $dns' (record (field "rcode" (option string)) (field "info-code" (option u16))))
    (export "DNS-error-payload" (type $dns (eq $dns')))
    (type $tls' (record (field "alert-id" (option u8)) (field "alert-message" (option string))))
    (export "TLS-alert-received-payload" (type $tls (eq $tls')))
    (type $size' (record (field "field-name" (option string)) (field "field-size" (option u32))))
    (export "field-size-payload" (type $size (eq $size')))
    (type $code' (variant (case "DNS-timeout") (case "DNS-error" $dns) (case "destination-not-found")
      (case "destination-unavailable") (case "destination-IP-prohibited") (case "destination-IP-unroutable")
      (case "connection-refused") (case "connection-terminated") (case "connection-timeout")
      (case "connection-read-timeout") (case "connection-write-timeout") (case "connection-limit-reached")
      (case "TLS-protocol-error") (case "TLS-certificate-error") (case "TLS-alert-received" $tls)
      (case "HTTP-request-denied") (case "HTTP-request-length-required")
      (case "HTTP-request-body-size" (option u64)) (case "HTTP-request-method-invalid")
      (case "HTTP-request-URI-invalid") (case "HTTP-request-URI-too-long")
      (case "HTTP-request-header-section-size" (option u32)) (case "HTTP-request-header-size" (option $size))
      (case "HTTP-request-trailer-section-size" (option u32)) (case "HTTP-request-trailer-size" $size)
      (case "HTTP-response-incomplete") (case "HTTP-response-header-section-size" (option u32))
      (case "HTTP-response-header-size" $size) (case "HTTP-response-body-size" (option u64))
      (case "HTTP-response-trailer-section-size" (option u32)) (case "HTTP-response-trailer-size" $size)
      (case "HTTP-response-transfer-coding" (option string))
      (case "HTTP-response-content-coding" (option string)) (case "HTTP-response-timeout")
      (case "HTTP-upgrade-failed") (case "HTTP-protocol-error") (case "loop-detected")
      (case "configuration-error") (case "internal-error" (option string))))
    (export "error-code" (type $code (eq $code')))"#;

/// Sends a head without a body.
pub(super) const RESPOND: &str = "(call $respond (local.get $out) (call $response (call $fields)))";
/// Sends a head whose body has begun.
pub(super) const STREAM: &str = "(local.set $made (call $response (call $fields)))
    (call $body (local.get $made) (i32.const 0))
    (call $respond (local.get $out) (local.get $made))";
/// Waits until it may pass the door.
pub(super) const WAIT: &str = "(call $wait)";
/// Computes for ever.
pub(super) const LOOP: &str = "(loop $again (br $again))";

/// A handler of WASI 0.2 that does this.
pub(super) fn handler(code: &[&str]) -> String {
    let code = code.join("\n");
    format!(
        r#"(component
  (import "wasi:http/types@0.2.0" (instance $types
    (export "fields" (type $fields (sub resource)))
    (export "incoming-request" (type (sub resource)))
    (export "outgoing-body" (type $outgoing-body (sub resource)))
    (export "outgoing-response" (type $outgoing-response (sub resource)))
    (export "response-outparam" (type $response-outparam (sub resource)))
    {ERROR_CODE}
    (export "[constructor]fields" (func (result (own $fields))))
    (export "[constructor]outgoing-response"
      (func (param "headers" (own $fields)) (result (own $outgoing-response))))
    (export "[method]outgoing-response.body"
      (func (param "self" (borrow $outgoing-response)) (result (result (own $outgoing-body)))))
    (export "[static]response-outparam.set" (func
      (param "param" (own $response-outparam))
      (param "response" (result (own $outgoing-response) (error $code)))))))
  (import "{DOOR}" (instance $door (export "wait" (func))))
  (alias export $types "incoming-request" (type $request))
  (alias export $types "response-outparam" (type $outparam))
  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (core func $fields (canon lower (func $types "[constructor]fields")))
  (core func $response (canon lower (func $types "[constructor]outgoing-response")))
  (core func $body
    (canon lower (func $types "[method]outgoing-response.body") (memory $memory)))
  (core func $set
    (canon lower (func $types "[static]response-outparam.set") (memory $memory)))
  (core func $wait (canon lower (func $door "wait")))
  (core module $m
    (import "" "fields" (func $fields (result i32)))
    (import "" "response" (func $response (param i32) (result i32)))
    (import "" "body" (func $body (param i32 i32)))
    (import "" "set" (func $set (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
    (import "" "wait" (func $wait))
    (func $respond (param $out i32) (param $response i32)
      (call $set (local.get $out) (i32.const 0) (local.get $response) (i32.const 0) (i64.const 0)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
    (func (export "handle") (param $request i32) (param $out i32) (local $made i32)
      {code}))
  (core instance $i (instantiate $m (with "" (instance
    (export "fields" (func $fields))
    (export "response" (func $response))
    (export "body" (func $body))
    (export "set" (func $set))
    (export "wait" (func $wait))))))
  (func $handle (param "request" (own $request)) (param "response-out" (own $outparam))
    (canon lift (core func $i "handle")))
  (instance $e (export "handle" (func $handle)))
  (export "wasi:http/incoming-handler@0.2.0" (instance $e)))"#
    )
}

/// A service with a function that does this and returns a number; `kind` is `async` or nothing.
pub(super) fn callee(kind: &str, code: &[&str]) -> String {
    let code = code.join("\n");
    format!(
        r#"(component
  (import "{DOOR}" (instance $door (export "wait" (func))))
  (core func $wait (canon lower (func $door "wait")))
  (core module $m
    (import "" "wait" (func $wait))
    (func (export "get") (result i32) {code} (i32.const 7)))
  (core instance $i (instantiate $m (with "" (instance (export "wait" (func $wait))))))
  (type $get (func {kind} (result u32)))
  (func $get (type $get) (canon lift (core func $i "get")))
  (instance $e (export "get" (func $get)))
  (export "{API}" (instance $e)))"#
    )
}

/// A service with a function, which comes up like this.
pub(super) fn starting(code: &str) -> String {
    format!(
        r#"(component
  (core module $m
    (func $start {code})
    (start $start)
    (func (export "get") (result i32) (i32.const 7)))
  (core instance $i (instantiate $m))
  (func $get (result u32) (canon lift (core func $i "get")))
  (instance $e (export "get" (func $get)))
  (export "{API}" (instance $e)))"#
    )
}

/// One that writes `text` to standard error when it starts, and traps.
pub(super) fn starting_with_words(text: &str) -> String {
    format!(
        r#"(component
  (import "wasi:io/error@0.2.0" (instance $errors (export "error" (type (sub resource)))))
  (alias export $errors "error" (type $error))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer 1 $error (type $error'))
    (export "error" (type $error (eq $error')))
    (export "output-stream" (type $stream (sub resource)))
    (type $failed' (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $failed (eq $failed')))
    (export "[method]output-stream.blocking-write-and-flush" (func
      (param "self" (borrow $stream)) (param "contents" (list u8)) (result (result (error $failed)))))))
  (alias export $streams "output-stream" (type $stream))
  (import "wasi:cli/stderr@0.2.0" (instance $stderr
    (alias outer 1 $stream (type $stream'))
    (export "output-stream" (type $stream (eq $stream')))
    (export "get-stderr" (func (result (own $stream))))))
  (core module $libc
    (memory (export "memory") 1)
    (data (i32.const 1024) "{text}"))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (core func $get (canon lower (func $stderr "get-stderr")))
  (core func $write (canon lower
    (func $streams "[method]output-stream.blocking-write-and-flush") (memory $memory)))
  (core module $m
    (import "" "get" (func $get (result i32)))
    (import "" "write" (func $write (param i32 i32 i32 i32)))
    (func $start
      (call $write (call $get) (i32.const 1024) (i32.const {length}) (i32.const 0))
      unreachable)
    (start $start))
  (core instance $i (instantiate $m (with "" (instance
    (export "get" (func $get)) (export "write" (func $write)))))))"#,
        length = text.len()
    )
}
