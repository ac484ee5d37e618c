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
/// Sends a head whose status is 200 and how many requests the instance has got, this one included.
pub(super) const COUNT: &str = "(local.set $made (call $response (call $fields)))
    (call $status (local.get $made) (i32.add (i32.const 200) (global.get $served)))
    (call $respond (local.get $out) (local.get $made))";
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
    (export "[method]outgoing-response.set-status-code"
      (func (param "self" (borrow $outgoing-response)) (param "status-code" u16) (result (result))))
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
  (core func $status (canon lower (func $types "[method]outgoing-response.set-status-code")))
  (core func $body
    (canon lower (func $types "[method]outgoing-response.body") (memory $memory)))
  (core func $set
    (canon lower (func $types "[static]response-outparam.set") (memory $memory)))
  (core func $wait (canon lower (func $door "wait")))
  (core module $m
    (import "" "fields" (func $fields (result i32)))
    (import "" "response" (func $response (param i32) (result i32)))
    (import "" "status" (func $set-status (param i32 i32) (result i32)))
    (import "" "body" (func $body (param i32 i32)))
    (import "" "set" (func $set (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
    (import "" "wait" (func $wait))
    (func $respond (param $out i32) (param $response i32)
      (call $set (local.get $out) (i32.const 0) (local.get $response) (i32.const 0) (i64.const 0)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
    (func $status (param i32 i32) (drop (call $set-status (local.get 0) (local.get 1))))
    (global $served (mut i32) (i32.const 0))
    (func (export "handle") (param $request i32) (param $out i32) (local $made i32)
      (global.set $served (i32.add (global.get $served) (i32.const 1)))
      {code}))
  (core instance $i (instantiate $m (with "" (instance
    (export "fields" (func $fields))
    (export "response" (func $response))
    (export "status" (func $status))
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

/// A service with a function that does this; its memory has so many pages from the start, and it declares that besides.
pub(super) fn with_memory(pages: u32, declarations: &str, code: &[&str]) -> String {
    let code = code.join("\n");
    format!(
        r#"(component
  (import "{DOOR}" (instance $door (export "wait" (func))))
  (core func $wait (canon lower (func $door "wait")))
  (core module $m
    (import "" "wait" (func $wait))
    (memory {pages})
    {declarations}
    (func (export "get") (result i32) {code} (i32.const 7)))
  (core instance $i (instantiate $m (with "" (instance (export "wait" (func $wait))))))
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

/// Sends a head with the request's number at the instance as [`COUNT`] does, and no body.
pub(super) const ANSWER: &str = "(call $answer (local.get $number) (i32.const 0))";
/// Sends the same head, and a body that does not end.
pub(super) const STREAM_ON: &str = "(call $answer (local.get $number) (i32.const 1))";
/// Waits until it may pass the door once more, and then goes through the code again with `$stage` 1.
pub(super) const AGAIN: &str =
    "(if (i32.eqz (local.get $stage)) (then (return (call $park (i32.const 1) (local.get $number)))))";

/// A handler of WASI 0.3 that waits to pass the door, with others in the same instance, and then does this. `$number` says how
/// many requests the instance had got when this one came.
pub(super) fn handler3(code: &[&str]) -> String {
    let code = code.join("\n");
    format!(
        r#"(component
  (import "wasi:http/types@0.3.0" (instance $types
    (export "fields" (type $fields (sub resource)))
    (export "request" (type (sub resource)))
    (export "response" (type $response (sub resource)))
    {ERROR_CODE}
    (export "[constructor]fields" (func (result (own $fields))))
    (export "[static]response.new" (func
      (param "headers" (own $fields))
      (param "contents" (option (stream u8)))
      (param "trailers" (future (result (option (own $fields)) (error $code))))
      (result (tuple (own $response) (future (result (error $code)))))))
    (export "[method]response.set-status-code"
      (func (param "self" (borrow $response)) (param "status-code" u16) (result (result))))))
  (import "{DOOR}" (instance $door (export "wait" (func async))))
  (alias export $types "fields" (type $fields))
  (alias export $types "request" (type $request))
  (alias export $types "response" (type $response))
  (alias export $types "error-code" (type $code))
  (type $bytes (stream u8))
  (type $trailers (future (result (option (own $fields)) (error $code))))
  (type $handle (func async (param "request" (own $request))
    (result (result (own $response) (error $code)))))
  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (core func $fields (canon lower (func $types "[constructor]fields")))
  (core func $response (canon lower (func $types "[static]response.new") (memory $memory)))
  (core func $status (canon lower (func $types "[method]response.set-status-code")))
  (core func $wait (canon lower (func $door "wait") async (memory $memory)))
  (core func $stream (canon stream.new $bytes))
  (core func $future (canon future.new $trailers))
  (core func $write (canon future.write $trailers async (memory $memory)))
  (core func $return
    (canon task.return (result (result (own $response) (error $code))) (memory $memory)))
  (core func $set (canon waitable-set.new))
  (core func $join (canon waitable.join))
  (core func $drop (canon subtask.drop))
  (core func $keep (canon context.set i32 0))
  (core func $kept (canon context.get i32 0))
  (core module $m
    (import "" "memory" (memory 1))
    (import "" "fields" (func $fields (result i32)))
    (import "" "response" (func $response (param i32 i32 i32 i32 i32)))
    (import "" "status" (func $status (param i32 i32) (result i32)))
    (import "" "wait" (func $wait (result i32)))
    (import "" "stream" (func $stream (result i64)))
    (import "" "future" (func $future (result i64)))
    (import "" "write" (func $write (param i32 i32) (result i32)))
    (import "" "return" (func $return (param i32 i32 i32 i64 i32 i32 i32 i32)))
    (import "" "set" (func $set (result i32)))
    (import "" "join" (func $join (param i32 i32)))
    (import "" "drop" (func $drop (param i32)))
    (import "" "keep" (func $keep (param i32)))
    (import "" "kept" (func $kept (result i32)))
    (global $served (mut i32) (i32.const 0))
    (global $unsent (mut i32) (i32.const 0))
    (func $answer (param $number i32) (param $streams i32)
      (local $trailers i64) (local $body i32) (local $made i32)
      (local.set $trailers (call $future))
      (if (local.get $streams) (then (local.set $body (i32.wrap_i64 (call $stream)))))
      (call $response (call $fields) (local.get $streams) (local.get $body)
        (i32.wrap_i64 (local.get $trailers)) (i32.const 512))
      (local.set $made (i32.load (i32.const 512)))
      (drop (call $status (local.get $made) (i32.add (i32.const 200) (local.get $number))))
      ;; No trailers: all zeros. They are taken after the head.
      (global.set $unsent (i32.wrap_i64 (i64.shr_u (local.get $trailers) (i64.const 32))))
      (drop (call $write (global.get $unsent) (i32.const 1024)))
      (call $return (i32.const 0) (local.get $made) (i32.const 0) (i64.const 0)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
    ;; Waits at the door, and remembers with the waitable set what comes afterwards.
    (func $park (param $stage i32) (param $number i32) (result i32) (local $call i32) (local $set i32)
      (local.set $call (call $wait))
      (if (i32.eq (i32.and (local.get $call) (i32.const 15)) (i32.const 2))
        (then (return (call $go (local.get $stage) (local.get $number)))))
      (local.set $set (call $set))
      (call $join (i32.shr_u (local.get $call) (i32.const 4)) (local.get $set))
      (i32.store (i32.add (i32.const 4096) (i32.mul (local.get $set) (i32.const 8))) (local.get $stage))
      (i32.store (i32.add (i32.const 4100) (i32.mul (local.get $set) (i32.const 8))) (local.get $number))
      (call $keep (local.get $set))
      (i32.or (i32.shl (local.get $set) (i32.const 4)) (i32.const 2)))
    (func $go (param $stage i32) (param $number i32) (result i32) (local $set i32)
      {code}
      (if (i32.eqz (global.get $unsent)) (then (return (i32.const 0))))
      (local.set $set (call $set))
      (call $join (global.get $unsent) (local.get $set))
      (global.set $unsent (i32.const 0))
      (i32.or (i32.shl (local.get $set) (i32.const 4)) (i32.const 2)))
    (func (export "handle") (param $request i32) (result i32)
      (global.set $served (i32.add (global.get $served) (i32.const 1)))
      (call $park (i32.const 0) (global.get $served)))
    (func (export "callback") (param $event i32) (param $call i32) (param $state i32) (result i32)
      (local $at i32)
      ;; The trailers were taken: it is done.
      (if (i32.eq (local.get $event) (i32.const 5)) (then (return (i32.const 0))))
      (call $join (local.get $call) (i32.const 0))
      (call $drop (local.get $call))
      (local.set $at (i32.add (i32.const 4096) (i32.mul (call $kept) (i32.const 8))))
      (call $go (i32.load (local.get $at)) (i32.load offset=4 (local.get $at)))))
  (core instance $i (instantiate $m (with "" (instance
    (export "memory" (memory $memory))
    (export "fields" (func $fields))
    (export "response" (func $response))
    (export "status" (func $status))
    (export "wait" (func $wait))
    (export "stream" (func $stream))
    (export "future" (func $future))
    (export "write" (func $write))
    (export "return" (func $return))
    (export "set" (func $set))
    (export "join" (func $join))
    (export "drop" (func $drop))
    (export "keep" (func $keep))
    (export "kept" (func $kept))))))
  (alias core export $i "callback" (core func $callback))
  (func $handle (type $handle)
    (canon lift (core func $i "handle") async (callback (core func $callback)) (memory $memory)))
  (instance $e (export "handle" (func $handle)))
  (export "wasi:http/handler@0.3.0" (instance $e)))"#
    )
}
