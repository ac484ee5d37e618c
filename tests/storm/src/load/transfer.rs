//! Downloads and uploads that take long, one after another. What they carry is known before, so that every byte is checked.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::Field;
use super::answer::{Form, Sum};
use super::connection::{Connection, Protocol, empty, fed, lost};
use crate::clock;
use crate::record::{Track, Way};

/// Between two pieces; the guests do the same.
const PACE: Duration = Duration::from_millis(100);

/// The size of a piece of an upload.
const PIECE: usize = 2_000;

/// Makes transfers until the load is over. By their places they are spread over the protocols and the services.
pub async fn go_on(field: Arc<Field>, way: Way, place: usize, length: Duration) {
    let protocol = match place % 2 {
        0 => Protocol::Http1,
        _ => Protocol::Http2,
    };
    let (track, prefix) = match place / 2 % 2 {
        0 => (Track::P2, "p2"),
        _ => (Track::P3, "p3"),
    };
    let pieces = u64::try_from(length.as_millis() / PACE.as_millis()).unwrap_or(0);
    let mut kept = None;
    while !field.is_over.load(Ordering::Relaxed) {
        let request = field.number();
        let scheduled = clock::now();
        let connection = match kept.take() {
            Some(open) => Ok(open),
            None => Connection::open(field.address, protocol).await,
        };
        let passage = match connection {
            Err(_) => lost(),
            Ok(mut connection) => {
                let passage = match way {
                    Way::Upload => upload(&mut connection, prefix, request, pieces).await,
                    _ => {
                        let path = format!("/{prefix}/down?ms={}", length.as_millis());
                        connection.exchange(&path, empty(), Form::Download(pieces)).await
                    }
                };
                if connection.is_ready().await {
                    kept = Some(connection);
                } else {
                    field.note_closed();
                }
                passage
            }
        };
        field.write(request, way, track, scheduled, passage);
    }
}

async fn upload(connection: &mut Connection, prefix: &str, request: u32, pieces: u64) -> super::Passage {
    let content: Vec<Bytes> = (0..pieces).map(|number| piece(request, number)).collect();
    let sum = content.iter().fold(Sum::EMPTY, |sum, piece| sum.with(piece));
    let (sender, body) = mpsc::channel(1);
    let writer = tokio::spawn(async move {
        let mut ticks = interval(PACE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for piece in content {
            ticks.tick().await;
            // Whoever takes no more has answered, or is gone.
            if sender.send(piece).await.is_err() {
                return;
            }
        }
    });
    let path = format!("/{prefix}/up");
    let passage = connection.exchange(&path, fed(body), Form::Upload(sum)).await;
    writer.abort();
    passage
}

/// Bytes that differ from request to request and from piece to piece.
fn piece(request: u32, number: u64) -> Bytes {
    let seed = u64::from(request).wrapping_mul(31).wrapping_add(number);
    (0..PIECE as u64)
        .map(|place| (seed.wrapping_mul(place + 1) >> 3) as u8)
        .collect()
}
