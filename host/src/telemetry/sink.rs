//! Where lines wait for a slow reader: a queue bounded in lines and bytes, and a thread that writes them in
//! batches. What does not fit is dropped and counted, so that logging never blocks a request.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

use crate::shutdown;

/// The most lines that wait.
const MAX_LINES: usize = 4096;
/// The most bytes that wait.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// How long [`Sink::flush`] waits for a reader.
const FLUSH: Duration = Duration::from_secs(1);
/// The pause between two looks at a queue that is full while flushing.
const PAUSE: Duration = Duration::from_millis(5);

/// The way to the writing thread. The thread ends with the last clone.
#[derive(Clone, Debug)]
pub(super) struct Sink {
    queue: SyncSender<Message>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting_bytes: AtomicUsize,
    dropped: AtomicU64,
}

#[derive(Debug)]
enum Message {
    Line(Box<[u8]>),
    /// Answered once everything before it is written.
    Flush(SyncSender<()>),
}

impl Sink {
    /// Starts the thread that writes to `writer`. Errors of the writer are ignored: there is nowhere to tell
    /// them.
    pub(super) fn start(writer: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, messages) = sync_channel(MAX_LINES);
        let shared = Arc::<Shared>::default();
        let of_thread = Arc::clone(&shared);
        shutdown::thread("midplane-log", move || write(&messages, &of_thread, writer))?;
        Ok(Self { queue, shared })
    }

    /// Takes a line, or drops and counts it.
    pub(super) fn put(&self, line: &[u8]) {
        let before = self.shared.waiting_bytes.fetch_add(line.len(), Ordering::Relaxed);
        let fits = before + line.len() <= MAX_BYTES;
        if !fits || self.queue.try_send(Message::Line(line.into())).is_err() {
            self.shared.waiting_bytes.fetch_sub(line.len(), Ordering::Relaxed);
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many lines were dropped so far.
    pub(super) fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Waits until the lines that wait now are written, for a second at most.
    pub(super) fn flush(&self) {
        let end = Instant::now() + FLUSH;
        let (answer, answered) = sync_channel(1);
        while self.queue.try_send(Message::Flush(answer.clone())).is_err() {
            if Instant::now() >= end {
                return;
            }
            std::thread::sleep(PAUSE);
        }
        let _ = answered.recv_timeout(end.saturating_duration_since(Instant::now()));
    }
}

fn write(messages: &Receiver<Message>, shared: &Shared, mut writer: impl Write) {
    while let Ok(first) = messages.recv() {
        // As long as there are more, the writer may keep them together; a pause brings all of them out.
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Line(line) => {
                    let _ = writer.write_all(&line);
                    shared.waiting_bytes.fetch_sub(line.len(), Ordering::Relaxed);
                }
                Message::Flush(answer) => {
                    let _ = writer.flush();
                    let _ = answer.try_send(());
                }
            }
            next = messages.try_recv().ok();
        }
        let _ = writer.flush();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex, mpsc},
    };

    use super::{MAX_BYTES, MAX_LINES, Sink};

    /// Keeps what it is given, and waits for a permit before it takes anything.
    struct Slow {
        permit: mpsc::Receiver<()>,
        begun: mpsc::Sender<()>,
        text: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.begun.send(());
            // Without its sender a permit is not needed any more.
            let _ = self.permit.recv();
            self.text.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A sink whose thread hangs in its first line, what lets it go on, and what it has written.
    fn hanging(line: &[u8]) -> (Sink, mpsc::Sender<()>, Arc<Mutex<Vec<u8>>>) {
        let (permits, permit) = mpsc::channel();
        let (begun, has_begun) = mpsc::channel();
        let text = Arc::<Mutex<Vec<u8>>>::default();
        let sink = Sink::start(Slow {
            permit,
            begun,
            text: Arc::clone(&text),
        })
        .unwrap();
        sink.put(line);
        has_begun.recv().unwrap();
        (sink, permits, text)
    }

    #[test]
    fn lines_over_the_bound_are_dropped_and_counted_and_the_others_come_out_in_order() {
        let (sink, permits, text) = hanging(b"first\n");
        for index in 0..MAX_LINES + 7 {
            sink.put(format!("{index}\n").as_bytes());
        }
        assert_eq!(sink.dropped(), 7);
        drop(permits);
        sink.flush();
        let text = String::from_utf8(text.lock().unwrap().clone()).unwrap();
        let expected: String = (0..MAX_LINES).map(|index| format!("{index}\n")).collect();
        assert_eq!(text, format!("first\n{expected}"));
    }

    #[test]
    fn bytes_are_bounded_too_and_become_free_again() {
        let line = vec![b'x'; 1024 * 1024];
        let (sink, permits, text) = hanging(&line);
        for _ in 0..20 {
            sink.put(&line);
        }
        assert_eq!(sink.dropped(), 21 - (MAX_BYTES / line.len()) as u64);
        drop(permits);
        sink.flush();
        sink.put(b"after\n");
        sink.flush();
        assert_eq!(text.lock().unwrap().len(), MAX_BYTES + b"after\n".len());
    }

    #[test]
    fn a_reader_that_hangs_does_not_hold_up_the_end_for_ever() {
        let (sink, permits, text) = hanging(b"first\n");
        sink.flush();
        assert!(text.lock().unwrap().is_empty());
        drop(permits);
    }
}
