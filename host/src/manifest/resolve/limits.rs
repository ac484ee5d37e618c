//! `limits` and `instances`: quantities within their ranges, none that another makes senseless. A component's keys go before
//! those of the app, key by key; what neither sets has its default.

use std::num::NonZeroU32;
use std::time::Duration;

use toml::Spanned;

use super::invalid;
use crate::manifest::error::shorten;
use crate::manifest::raw;
use crate::manifest::read::Result;
use crate::model::quantity::{QuantityError, bytes_text, parse_bytes, parse_duration};
use crate::model::{InstancePolicy, Instances, Limits};

/// A page of Wasm memory.
const MIN_MEMORY: u64 = 64 << 10;
/// No size of a limit is larger.
const MAX_SIZE: u64 = 1 << 40;
/// What an empty database takes, its schema included.
const MIN_DATABASE: u64 = 64 << 10;
/// No time of a limit is longer.
const MAX_TIME: Duration = Duration::from_secs(3600);
/// The highest `concurrency`.
const MAX_CONCURRENCY: u32 = 10_000;
/// The longest `queue`.
const MAX_QUEUE: u32 = 100_000;
/// The highest `call_depth`.
const MAX_CALL_DEPTH: u32 = 64;
/// The highest `concurrency` of one instance.
const MAX_INSTANCE_CONCURRENCY: u32 = 1_000;

const UNLIMITED: &str = "unlimited";

/// What a table sets, and what of it the app's table sets in its place.
struct Layer<'a, T> {
    own: &'a T,
    of_app: &'a T,
}

impl<'a, T> Layer<'a, T> {
    fn get<V: 'a>(&self, key: impl Fn(&'a T) -> &'a Option<Spanned<V>>) -> Option<&'a Spanned<V>> {
        key(self.own).as_ref().or(key(self.of_app).as_ref())
    }
}

/// The limits of a service whose table says `own`, in an app whose table says `of_app`.
pub(super) fn limits(own: &raw::Limits, of_app: &raw::Limits) -> Result<Limits> {
    let table = Layer { own, of_app };
    let default = Limits::default();
    let memory = table.get(|table| &table.memory);
    let memory_bytes = memory.map(|text| size("memory", text, MIN_MEMORY, MAX_SIZE));
    let memory_bytes = memory_bytes.transpose()?.unwrap_or(default.memory);
    let instance_memory = table.get(|table| &table.instance_memory);
    let instance_bytes =
        instance_memory.map(|text| size("instance_memory", text, MIN_MEMORY, Limits::MAX_INSTANCE_MEMORY));
    let instance_bytes = instance_bytes
        .transpose()?
        .unwrap_or(default.instance_memory.min(memory_bytes));
    if instance_bytes > memory_bytes {
        return more_than_all(&table, instance_bytes, memory_bytes);
    }
    if let (Some(queue), Some(time)) = (&own.queue, &own.queue_timeout)
        && *queue.get_ref() == 0
    {
        let hint = "leave `queue_timeout` out, or let some requests wait";
        let what = named("queue_timeout", time);
        return invalid(what, "with `queue = 0` nobody waits", Some(hint), time.span());
    }
    let times = |key, text: Option<&Spanned<String>>, default| {
        text.map_or(Ok(default), |text| {
            time(key, text, "a request needs some of it", RANGE)
        })
    };
    let queue_timeout =
        table
            .get(|table| &table.queue_timeout)
            .map_or(Ok(default.queue_timeout), |text| {
                time(
                    "queue_timeout",
                    text,
                    "nobody can wait for no time",
                    "write `queue = 0` to let nobody wait, or a time such as `\"500ms\"`, at most `\"1h\"`",
                )
            })?;
    let response_body = table.get(|table| &table.response_body);
    Ok(Limits {
        memory: memory_bytes,
        instance_memory: instance_bytes,
        cpu_time: times("cpu_time", table.get(|table| &table.cpu_time), default.cpu_time)?,
        timeout: times("timeout", table.get(|table| &table.timeout), default.timeout)?,
        concurrency: table
            .get(|table| &table.concurrency)
            .map_or(Ok(default.concurrency), |number| {
                count("concurrency", number, MAX_CONCURRENCY)
            })?,
        queue: match table.get(|table| &table.queue) {
            None => default.queue,
            Some(number) if *number.get_ref() > MAX_QUEUE => {
                let reason = format!("it is more than {MAX_QUEUE}");
                let what = format!("`queue = {}`", number.get_ref());
                let hint = "those at its end would wait in vain: `queue_timeout` is over before";
                return invalid(what, reason, Some(hint), number.span());
            }
            Some(number) => *number.get_ref(),
        },
        queue_timeout,
        request_body: table
            .get(|table| &table.request_body)
            .map_or(Ok(default.request_body), |text| {
                size("request_body", text, 0, MAX_SIZE)
            })?,
        response_body: match response_body {
            None => default.response_body,
            Some(text) if text.get_ref() == UNLIMITED => None,
            Some(text) => Some(response_size(text)?),
        },
        database_size: table
            .get(|table| &table.database_size)
            .map(|text| size("database_size", text, MIN_DATABASE, MAX_SIZE))
            .transpose()?,
        call_depth: table
            .get(|table| &table.call_depth)
            .map_or(Ok(default.call_depth), |number| {
                count("call_depth", number, MAX_CALL_DEPTH)
            })?,
        table_elements: default.table_elements,
    })
}

/// One instance may not have more than all of them together: said of what is nearer to the service.
fn more_than_all<T>(table: &Layer<'_, raw::Limits>, instance: u64, memory: u64) -> Result<T> {
    let (instance_text, memory_text) = (bytes_text(instance), bytes_text(memory));
    let at_memory = match (&table.own.instance_memory, &table.own.memory) {
        (None, Some(memory)) => Some(memory),
        _ => None,
    };
    if let Some(text) = at_memory {
        let reason = format!("one instance alone may have {instance_text}, by the app's `instance_memory`");
        let hint =
            format!("write `memory = \"{instance_text}\"` or more, or an `instance_memory` of its own");
        return invalid(named("memory", text), reason, Some(&hint), text.span());
    }
    let Some(text) = table.get(|table| &table.instance_memory) else {
        // Its default is never more than `memory`.
        return invalid("`instance_memory`", "it is more than `memory`", None, 0..0);
    };
    let reason = format!("it is more than all instances may have together, which is {memory_text}");
    let hint = format!("write `memory = \"{instance_text}\"` or more, or lower `instance_memory`");
    invalid(named("instance_memory", text), reason, Some(&hint), text.span())
}

/// How a service's instances serve, of which `limits` says how many requests it takes at once.
pub(super) fn instances(own: &raw::Instances, of_app: &raw::Instances, limits: &Limits) -> Result<Instances> {
    let table = Layer { own, of_app };
    let default = Instances::default();
    let policy = table.get(|table| &table.policy).map(policy).transpose()?;
    if policy == Some(InstancePolicy::Fresh) {
        nothing_of_reuse(own)?;
        if own.policy.is_some() {
            // What the app says of reuse is for the others.
            return Ok(Instances { policy, ..default });
        }
    }
    let concurrency = table.get(|table| &table.concurrency);
    if let Some(number) = concurrency
        && *number.get_ref() > limits.concurrency.get()
        && own.concurrency.is_some()
    {
        let what = format!("`concurrency = {}` of an instance", number.get_ref());
        let reason = format!("the whole service takes {} requests at once", limits.concurrency);
        let hint = "lower it, or raise `concurrency` of `limits`";
        return invalid(what, reason, Some(hint), number.span());
    }
    let counted = |key, number: Option<&Spanned<u32>>, default, max| {
        number.map_or(Ok(default), |number| count(key, number, max))
    };
    Ok(Instances {
        policy,
        max_requests: counted(
            "max_requests",
            table.get(|table| &table.max_requests),
            default.max_requests,
            u32::MAX,
        )?,
        concurrency: counted(
            "concurrency",
            concurrency,
            default.concurrency,
            MAX_INSTANCE_CONCURRENCY,
        )?
        .min(limits.concurrency),
        idle: table.get(|table| &table.idle).map_or(Ok(default.idle), |text| {
            let hint = "write `policy = \"fresh\"` for instances that do not wait, or a time such as `\"30s\"`, at most `\"1h\"`";
            time("idle", text, "an instance that waits for no time is never reused", hint)
        })?,
    })
}

fn policy(text: &Spanned<String>) -> Result<InstancePolicy> {
    match text.get_ref().as_str() {
        "fresh" => Ok(InstancePolicy::Fresh),
        "reuse" => Ok(InstancePolicy::Reuse),
        _ => {
            let hint =
                "write \"fresh\" (one instance for each request) or \"reuse\" (one request after another)";
            let reason = "there is no such policy";
            invalid(named("policy", text), reason, Some(hint), text.span())
        }
    }
}

/// A fresh instance serves one request: how many more, and how long it waits for them, is a contradiction.
fn nothing_of_reuse(own: &raw::Instances) -> Result<()> {
    let said = [
        (
            "max_requests",
            own.max_requests.as_ref().map(|number| number.span()),
        ),
        ("idle", own.idle.as_ref().map(|text| text.span())),
        (
            "concurrency",
            own.concurrency
                .as_ref()
                .filter(|number| *number.get_ref() != 1)
                .map(|number| number.span()),
        ),
    ];
    for (key, span) in said {
        if let Some(span) = span {
            let reason = "an instance of `policy = \"fresh\"` serves one request";
            let hint = format!("remove `{key}`, or write `policy = \"reuse\"`");
            return invalid(format!("`{key}`"), reason, Some(&hint), span);
        }
    }
    Ok(())
}

fn named(key: &str, text: &Spanned<String>) -> String {
    format!("`{key} = {:?}`", shorten(text.get_ref()))
}

fn size(key: &str, text: &Spanned<String>, least: u64, most: u64) -> Result<u64> {
    let reason = match parse_bytes(text.get_ref()) {
        Ok(bytes) if bytes < least => format!("it is less than {}", bytes_text(least)),
        Ok(bytes) if bytes > most => format!("it is more than {}", bytes_text(most)),
        Ok(bytes) => return Ok(bytes),
        Err(error) => error.to_string(),
    };
    let from = match least {
        0 => "up".to_owned(),
        least => format!("from `\"{}\"`", bytes_text(least)),
    };
    let hint = format!(
        "a size is written as in `\"64MiB\"`, {from} to `\"{}\"`",
        bytes_text(most)
    );
    invalid(named(key, text), reason, Some(&hint), text.span())
}

fn response_size(text: &Spanned<String>) -> Result<u64> {
    let reason = match parse_bytes(text.get_ref()) {
        Ok(0) => "no response could have a body".to_owned(),
        Ok(bytes) if bytes > MAX_SIZE => format!("it is more than {}", bytes_text(MAX_SIZE)),
        Ok(bytes) => return Ok(bytes),
        Err(QuantityError::Number) => "it is neither a size nor \"unlimited\"".to_owned(),
        Err(error) => error.to_string(),
    };
    let hint = "write a size such as `\"64MiB\"`, or `\"unlimited\"`";
    invalid(named("response_body", text), reason, Some(hint), text.span())
}

const RANGE: &str = "a time is written as in `\"500ms\"` or `\"5s\"`, at most `\"1h\"`";

/// A time; `why_not` says why none at all has no meaning.
fn time(key: &str, text: &Spanned<String>, why_not: &str, hint: &str) -> Result<Duration> {
    let reason = match parse_duration(text.get_ref()) {
        Ok(Duration::ZERO) => why_not.to_owned(),
        Ok(time) if time > MAX_TIME => "it is longer than an hour".to_owned(),
        Ok(time) => return Ok(time),
        Err(error) => error.to_string(),
    };
    invalid(named(key, text), reason, Some(hint), text.span())
}

fn count(key: &str, number: &Spanned<u32>, most: u32) -> Result<NonZeroU32> {
    let value = *number.get_ref();
    let what = format!("`{key} = {value}`");
    match NonZeroU32::new(value) {
        Some(value) if value.get() <= most => Ok(value),
        Some(_) => {
            let hint = format!("write a number from 1 to {most}");
            invalid(
                what,
                format!("it is more than {most}"),
                Some(&hint),
                number.span(),
            )
        }
        None => {
            let hint = format!("write a number from 1 to {most}");
            invalid(what, "nothing would be served", Some(&hint), number.span())
        }
    }
}
