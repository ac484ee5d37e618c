//! What instances may allocate: each of them, all of a revision together, and what is left when they are gone.

use std::time::{Duration, Instant};

use super::guest::{WAIT, callee, handler, with_memory};
use super::*;
use crate::engine::resident;

const PAGE: u64 = 64 * 1024;
const MIB: u64 = 1024 * 1024;
/// Asks for a page until there is none, and traps.
const ALLOCATE: &str =
    "(loop $again (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable";

/// Services that may have so much.
fn bench(memory: u64, instance_memory: u64) -> Bench {
    let mut bench = Bench::new(16);
    bench.limits.memory = memory;
    bench.limits.instance_memory = instance_memory;
    bench.limits.queue_timeout = Duration::from_millis(50);
    bench
}

impl Subject {
    /// Nothing of it is left.
    fn assert_gone(&self) {
        assert_eq!(self.program.memory_used(), 0);
        assert_eq!(self.figure("linear_memory_bytes", ""), 0);
        assert_eq!(self.program.instance_count(), 0);
    }
}

#[tokio::test]
async fn instances_of_one_revision_share_its_memory_and_another_revision_has_its_own() {
    let bench = bench(3 * MIB, 2 * MIB);
    let subject = bench.program(&with_memory(16, "", &[WAIT]), 0);
    let neighbour = bench.program(&with_memory(16, "", &[]), 0);
    let calls = async { tokio::join!(subject.call(false), subject.call(false), subject.call(false)) };
    let fourth = async {
        for _ in 0..3 {
            subject.door.arrival().await;
        }
        assert_eq!(subject.program.memory_used(), 3 * MIB);
        assert_eq!(subject.figure("linear_memory_bytes", ""), 3 * MIB);
        assert_eq!(subject.call(false).await, Err(CallError::OutOfMemory));
        assert_eq!(neighbour.call(false).await, Ok(Some(Value::U32(7))));
        assert_eq!(subject.figure("errors_total", ",reason=\"memory\""), 1);
        assert_eq!(subject.figure("traps_total", ""), 0, "nobody is to blame");
        subject.door.passes.add_permits(3);
    };
    let (answers, ()) = tokio::join!(calls, fourth);
    assert_eq!(
        answers,
        (
            Ok(Some(Value::U32(7))),
            Ok(Some(Value::U32(7))),
            Ok(Some(Value::U32(7)))
        )
    );
    // They wait with what they have.
    assert_eq!(subject.program.memory_used(), 3 * MIB);
    bench
        .engines
        .drop_idle(Instant::now() + Duration::from_secs(3600));
    subject.assert_gone();
}

#[tokio::test]
async fn who_waits_for_memory_gets_that_of_the_first_that_is_done() {
    let mut bench = bench(2 * MIB, 2 * MIB);
    bench.limits.queue_timeout = Duration::from_secs(60);
    let subject = bench.program(&with_memory(16, "", &[WAIT]), 0);
    let (first, second) = (subject.call(false), subject.call(false));
    let third = async {
        subject.door.arrival().await;
        subject.door.arrival().await;
        subject.call(false).await
    };
    let opened = async {
        // Both are there, and the third has begun to wait.
        tokio::task::yield_now().await;
        subject.door.passes.add_permits(3);
    };
    let (first, second, third, ()) = tokio::join!(first, second, third, opened);
    for answer in [first, second, third] {
        assert_eq!(answer, Ok(Some(Value::U32(7))));
    }
    assert!(subject.program.memory_used() <= 2 * MIB);
}

#[tokio::test]
async fn instances_that_wait_make_room_for_a_fresh_one_and_for_one_that_grows() {
    let bench = bench(2 * MIB, 2 * MIB);
    let subject = bench.program(&with_memory(16, "", &[]), 0);
    assert_eq!(subject.program.warm(2).await, Ok(()));
    assert_eq!(subject.program.instance_count(), 2);
    let fresh = subject.program.instantiate().await.ok();
    assert!(fresh.is_some());
    assert_eq!(
        (subject.program.instance_count(), subject.program.memory_used()),
        (2, 2 * MIB)
    );
    drop(fresh);

    let grows = "(if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable))";
    let plain = with_memory(16, "", &[grows]);
    let concurrent = plain.replace(
        "(func $get (result u32) (canon",
        "(type $get (func async (result u32))) (func $get (type $get) (canon",
    );
    for (text, is_async) in [(plain, false), (concurrent, true)] {
        let subject = bench.program(&text, 0);
        assert_eq!(subject.program.warm(8).await, Ok(()), "as many as fit");
        assert_eq!(subject.program.instance_count(), 2);
        assert_eq!(subject.call(is_async).await, Ok(Some(Value::U32(7))));
        assert_eq!(
            (subject.program.instance_count(), subject.program.memory_used()),
            (1, 2 * MIB)
        );
    }
}

#[tokio::test]
async fn a_guest_that_allocates_without_end_runs_into_the_nearer_limit_and_leaves_nothing() {
    for (memory, instance_memory) in [(8 * MIB, 2 * MIB), (2 * MIB, 8 * MIB)] {
        let bench = bench(memory, instance_memory);
        let subject = bench.program(&with_memory(1, "", &[ALLOCATE]), 0);
        assert_eq!(subject.call(false).await, Err(CallError::Trapped));
        assert_eq!(subject.figure("traps_total", ""), 1);
        subject.assert_gone();
    }
}

#[tokio::test]
async fn growth_that_is_refused_costs_nothing() {
    let bench = bench(8 * MIB, 8 * MIB);
    // More than its own maximum, and more than its type can have.
    let grows = "(drop (memory.grow (i32.const 3))) (drop (memory.grow (i32.const 2)))
        (drop (memory.grow (i32.const 65536))) (drop (memory.grow (i32.const -1)))";
    let text = with_memory(1, "", &[grows]).replace("(memory 1)", "(memory 1 4)");
    let subject = bench.program(&text, 0);
    assert_eq!(subject.call(false).await, Ok(Some(Value::U32(7))));
    assert_eq!(subject.program.memory_used(), 4 * PAGE);
    assert_eq!(subject.figure("linear_memory_bytes", ""), 4 * PAGE);
}

#[tokio::test]
async fn what_never_fits_is_refused_before_anybody_asks_for_it() {
    let bench = bench(MIB, 2 * MIB);
    let code = |text: &str| {
        let compiled = bench
            .engines
            .load(&wat::parse_str(text).unwrap(), &|| {})
            .unwrap();
        bench.engines.link(&compiled, Vec::new()).unwrap()
    };
    let text =
        |pages| format!("(component (core module $m (memory {pages})) (core instance (instantiate $m)))");
    assert!(code(&text(16)).check(&bench.limits, &bench.instances).is_ok());
    let (key, limit, needs) = ("memory", MIB, 17 * PAGE);
    assert!(matches!(
        code(&text(17)).check(&bench.limits, &bench.instances),
        Err(CompileError::MemoryTooSmall { key: k, limit: l, needs: n }) if (k, l, n) == (key, limit, needs)
    ));
    assert!(matches!(
        code(&text(33)).check(&bench.limits, &bench.instances),
        Err(CompileError::MemoryTooSmall {
            key: "instance_memory",
            ..
        })
    ));
    // Each fits, and both do not.
    let other = "(component (core module $n (memory 9)) (core instance (instantiate $n))";
    let subject = bench.program(&with_memory(9, "", &[]).replacen("(component", other, 1), 0);
    let Err(WarmError::NotInstantiated { reason, .. }) = subject.program.warm(1).await else {
        panic!("it came up");
    };
    assert!(
        reason.contains("1048576 bytes of memory, the limit `memory`"),
        "{reason}"
    );
    subject.assert_gone();
}

#[tokio::test]
async fn tables_are_bounded_together() {
    let bench = Bench::new(4);
    // A module has one table at most; it can import those of others.
    let tables = r#"(component
  (core module $t (table (export "t") 0 funcref))
  (core instance $a (instantiate $t))
  (core instance $b (instantiate $t))
  (core instance $c (instantiate $t))"#;
    let imports = r#"(import "" "wait" (func $wait))
    (import "a" "t" (table $a 0 funcref)) (import "b" "t" (table $b 0 funcref)) (import "c" "t" (table $c 0 funcref))"#;
    let grow = |table: &str| {
        format!(
            "(loop $again (br_if $again
                (i32.ne (table.grow {table} (ref.null func) (i32.const 1000)) (i32.const -1))))"
        )
    };
    let sum =
        "(if (i32.ne (i32.add (table.size $c) (i32.add (table.size $a) (table.size $b))) (i32.const 200000))
        (then unreachable))";
    let code = [grow("$a"), grow("$b"), grow("$c"), sum.to_owned()];
    let code: Vec<&str> = code.iter().map(String::as_str).collect();
    let text = with_memory(1, "", &code)
        .replacen("(component", tables, 1)
        .replacen(r#"(import "" "wait" (func $wait))"#, imports, 1)
        .replacen(
            "(instantiate $m",
            r#"(instantiate $m (with "a" (instance $a)) (with "b" (instance $b)) (with "c" (instance $c))"#,
            1,
        );
    let subject = bench.program(&text, 0);
    assert_eq!(subject.call(false).await, Ok(Some(Value::U32(7))));
}

#[tokio::test]
async fn deep_recursion_and_leaked_handles_trap_and_leave_nothing() {
    let mut bench = Bench::new(4);
    bench.limits.cpu_time = Duration::from_secs(60);
    let recursion =
        "(func $down (param i32) (call $down (i32.add (local.get 0) (i32.const 1))) (call $wait))";
    let subject = bench.program(&with_memory(1, recursion, &["(call $down (i32.const 0))"]), 0);
    assert_eq!(subject.call(false).await, Err(CallError::Trapped));
    subject.assert_gone();

    let leaking = bench.program(&handler(&["(loop $again (drop (call $fields)) (br $again))"]), 0);
    let answered = leaking.request(leaking.context(), Drive::Inline, ()).await;
    assert!(matches!(answered, Err(Failure::Trapped)), "{answered:?}");
    leaking.assert_gone();

    let neighbour = bench.program(&callee("", &[]), 0);
    assert_eq!(neighbour.call(false).await, Ok(Some(Value::U32(7))));
}

/// Set for the process in which the test below runs alone: what other tests have in RAM must not count.
const ALONE: &str = "MIDPLANE_TEST_RESIDENT_MEMORY";

#[test]
fn after_a_burst_the_process_has_no_more_in_ram_than_is_kept_for_the_next() {
    if std::env::var_os(ALONE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        return runtime.unwrap().block_on(burst());
    }
    let name =
        "engine::tests::memory::after_a_burst_the_process_has_no_more_in_ram_than_is_kept_for_the_next";
    let alone = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .env(ALONE, "1")
        .output()
        .unwrap();
    assert!(
        alone.status.success(),
        "{}",
        String::from_utf8_lossy(&alone.stdout)
    );
    assert!(String::from_utf8_lossy(&alone.stdout).contains("1 passed"));
}

/// 64 instances that write 3 MiB of memory and some 300 KiB of stack each.
async fn burst() {
    const INSTANCES: u32 = 64;
    let kept = 8 * MIB;
    let mut bench = Bench::new(INSTANCES + 1);
    let cache = tempfile::tempdir().unwrap();
    let settings = Settings {
        max_instances: 2 * INSTANCES,
        resident_memory: kept,
        ..Settings::default()
    };
    bench.engines = Engines::new(settings, &cache.path().join("cache")).unwrap();
    bench.limits.memory = 1024 * MIB;
    bench.limits.cpu_time = Duration::from_secs(60);
    bench.limits.concurrency = NonZeroU32::new(INSTANCES).unwrap();
    let recursion = "(func $down (param i32) (result i32)
        (if (i32.eqz (local.get 0)) (then (return (i32.const 1))))
        (i32.add (call $down (i32.sub (local.get 0) (i32.const 1))) (i32.load8_u (local.get 0))))";
    let fills =
        "(memory.fill (i32.const 0) (i32.const 1) (i32.const 3145728)) (drop (call $down (i32.const 6000)))";
    let subject = bench.program(&with_memory(48, recursion, &[fills, WAIT]), 0);
    // What is made once is made.
    subject.door.passes.add_permits(1);
    assert_eq!(subject.call(false).await, Ok(Some(Value::U32(7))));
    subject.door.arrival().await;
    let level = resident_bytes();

    let calls = futures::future::join_all((0..INSTANCES).map(|_| subject.call(false)));
    let peak = async {
        for _ in 0..INSTANCES {
            subject.door.arrival().await;
        }
        let peak = resident_bytes();
        subject.door.passes.add_permits(INSTANCES as usize);
        peak
    };
    let (answers, peak) = tokio::join!(calls, peak);
    assert!(answers.iter().all(|answer| *answer == Ok(Some(Value::U32(7)))));
    assert!(peak > level + 60 * 3 * MIB, "{level} bytes, at most {peak}");
    bench
        .engines
        .drop_idle(Instant::now() + Duration::from_secs(3600));
    subject.assert_gone();

    let engine = &bench.engines.plain.engine;
    let before = resident_bytes();
    resident::give_stacks_back(engine, &settings).unwrap();
    let stacks = before.saturating_sub(resident_bytes());
    assert!(
        stacks > u64::from(INSTANCES) * 100 * 1024,
        "{stacks} bytes of stacks"
    );
    // The thread of the pools looks every second.
    let until = Instant::now() + Duration::from_secs(60);
    while resident_bytes() > level + kept + 8 * MIB || resident::resident(engine) > kept / 4 * 3 {
        assert!(
            Instant::now() < until,
            "{level} bytes before, {} afterwards, {} of them in slots",
            resident_bytes(),
            resident::resident(engine)
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for half in [&bench.engines.plain, &bench.engines.concurrent] {
        resident::give_stacks_back(&half.engine, &settings).unwrap();
        resident::give_memories_back(&half.engine, &settings, 0).unwrap();
        assert_eq!(resident::resident(&half.engine), 0);
    }
    // And what was given back works.
    subject.door.passes.add_permits(1);
    assert_eq!(subject.call(false).await, Ok(Some(Value::U32(7))));
}

/// What this process has in RAM that is its own.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))
        .unwrap();
    let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse().unwrap();
    kib * 1024
}
