//! What the host writes to stderr, line by line, as JSON.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::sync::watch;

use super::soon;

/// One log line.
#[derive(Clone, Debug)]
pub struct Line {
    text: String,
    json: Value,
}

impl Line {
    fn parse(text: String) -> Self {
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Self { text, json }
    }

    /// The line as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the line is a JSON object, as all should be.
    pub fn is_json(&self) -> bool {
        self.json.is_object()
    }

    /// A field as text; numbers and flags as JSON writes them, a missing field as nothing.
    pub fn field(&self, name: &str) -> String {
        match self.json.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        }
    }

    pub fn message(&self) -> String {
        self.field("message")
    }
}

/// All lines so far, and news of further ones.
#[derive(Clone)]
pub struct Log {
    lines: Arc<Mutex<Vec<Line>>>,
    count: watch::Receiver<usize>,
}

impl Log {
    /// Collects until the stream ends.
    pub fn collect(stream: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let lines = Arc::<Mutex<Vec<Line>>>::default();
        let (news, count) = watch::channel(0);
        let collected = lines.clone();
        tokio::spawn(async move {
            let mut stream = BufReader::new(stream);
            let mut bytes = Vec::new();
            while matches!(stream.read_until(b'\n', &mut bytes).await, Ok(1..)) {
                let text = String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned();
                bytes.clear();
                let mut lines = collected.lock().unwrap_or_else(PoisonError::into_inner);
                lines.push(Line::parse(text));
                news.send_replace(lines.len());
            }
        });
        Self { lines, count }
    }

    pub fn lines(&self) -> Vec<Line> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The lines so far as one text.
    pub fn text(&self) -> String {
        self.lines()
            .iter()
            .map(|line| format!("{}\n", line.text))
            .collect()
    }

    /// The first line, past or to come, that `wanted` accepts. Fails the test when the host ends without it.
    pub async fn wait_for(&self, what: &str, wanted: impl Fn(&Line) -> bool) -> Line {
        let mut count = self.count.clone();
        let found = soon(what, async {
            loop {
                count.borrow_and_update();
                if let Some(line) = self.lines().into_iter().find(|line| wanted(line)) {
                    return Some(line);
                }
                if count.changed().await.is_err() {
                    return self.lines().into_iter().find(|line| wanted(line));
                }
            }
        });
        match found.await {
            Some(line) => line,
            None => panic!("the log ends without {what}:\n{}", self.text()),
        }
    }

    /// Waits until the host has closed its stderr.
    pub async fn ended(&self) {
        let mut count = self.count.clone();
        soon("the end of the log", async {
            while count.changed().await.is_ok() {}
        })
        .await;
    }
}
