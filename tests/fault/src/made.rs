//! Components that no compiler makes: handlers of WASI 0.2 whose one core module is given as text, and padding.

use anyhow::Context as _;

/// A component that is as large as the host may take: 100 MB.
const LARGE: usize = 100_000_000;

/// One that is larger than it takes: 100 MiB and one.
const TOO_LARGE: usize = 100 * 1024 * 1024 + 1;

/// A handler that does `code`, beside `more` of the same module, and `beside` of the component.
fn handler(code: &str, more: &str, beside: &str) -> anyhow::Result<Vec<u8>> {
    let text = format!(
        r#"(component
  (import "wasi:http/types@0.2.0" (instance $types
    (export "incoming-request" (type (sub resource)))
    (export "response-outparam" (type (sub resource)))))
  (alias export $types "incoming-request" (type $request))
  (alias export $types "response-outparam" (type $outparam))
  {beside}
  (core module $m
    {more}
    (func (export "handle") (param $request i32) (param $out i32)
      {code}))
  (core instance $i (instantiate $m))
  (func $handle (param "request" (own $request)) (param "response-out" (own $outparam))
    (canon lift (core func $i "handle")))
  (instance $e (export "handle" (func $handle)))
  (export "wasi:http/incoming-handler@0.2.0" (instance $e)))"#
    );
    wat::parse_str(text).context("the text is a component")
}

/// Makes its table grow until it does not, and traps.
///
/// # Errors
/// Never, in effect.
pub fn tables() -> anyhow::Result<Vec<u8>> {
    let growth = "(loop $again
        (br_if $again (i32.ne (table.grow $t (ref.null func) (i32.const 10000)) (i32.const -1))))";
    handler(&format!("{growth} unreachable"), "(table $t 0 funcref)", "")
}

/// Has as many memories as an instance may, or nearly, in modules of their own, and does not end.
///
/// # Errors
/// Never, in effect.
pub fn memories() -> anyhow::Result<Vec<u8>> {
    let module = "(core module $one (memory 1) (table 1 funcref))";
    let instances = "(core instance (instantiate $one))".repeat(11);
    handler("(loop $again (br $again))", "", &format!("{module} {instances}"))
}

/// A component of 100 MB, nearly all of which means nothing.
///
/// # Errors
/// Never, in effect.
pub fn large() -> anyhow::Result<Vec<u8>> {
    Ok(padded(handler("unreachable", "", "")?, LARGE))
}

/// One byte more than is taken.
///
/// # Errors
/// Never, in effect.
pub fn too_large() -> anyhow::Result<Vec<u8>> {
    Ok(padded(handler("unreachable", "", "")?, TOO_LARGE))
}

/// What is cheap to send and would take gigabytes to compile: a function with thousands of variables that thousands of nested
/// loops change.
///
/// # Errors
/// Never, in effect.
pub fn bomb() -> anyhow::Result<Vec<u8>> {
    handler("unreachable", &loops(10_000, 10_000), "")
}

/// As dear to compile as a component may be that the host does not refuse at a look: such a function of less size, a table of
/// jumps, and tens of thousands of functions.
///
/// # Errors
/// Never, in effect.
pub fn burden() -> anyhow::Result<Vec<u8>> {
    let mut more = loops(3_000, 3_000) + &jumps(65_000);
    for _ in 0..20_000 {
        more +=
            "(func (param i64) (result i64) (i64.mul (i64.add (local.get 0) (i64.const 77)) (local.get 0)))";
    }
    handler("unreachable", &more, "")
}

/// A function with so many variables, which the innermost of so many nested loops reads and writes.
fn loops(locals: usize, loops: usize) -> String {
    let mut text = String::from("(func (param i32) (local");
    text += &" i32".repeat(locals);
    text += ")";
    for _ in 0..loops {
        text += "loop ";
    }
    for local in 1..=locals {
        text += &format!(
            "(local.set {local} (i32.add (local.get {}) (i32.const 1)))",
            local - 1
        );
    }
    for depth in 0..loops {
        // Each of them may go round again.
        text += &format!("(br_if 0 (local.get {})) end ", 1 + depth % locals);
    }
    text + ")"
}

/// A function with a jump table of so many entries, back and forth between two blocks.
fn jumps(entries: usize) -> String {
    let targets = "0 1 ".repeat(entries / 2);
    format!("(func (param i32) (block (block (br_table {targets} 0 (local.get 0)))))")
}

/// With a section that means nothing, so that it has as many bytes.
fn padded(mut component: Vec<u8>, bytes: usize) -> Vec<u8> {
    // The kind of the section, its length in five bytes, and an empty name.
    let content = bytes - component.len() - 6;
    component.push(0);
    for at in 0..5 {
        let seven = (content >> (7 * at)) as u8 & 0x7f;
        component.push(if at < 4 { seven | 0x80 } else { seven });
    }
    component.resize(bytes, 0);
    component
}
