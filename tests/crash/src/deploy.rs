//! Deploys: one after another until the host is gone, each of the service that says its revision and of one with data, as a set.

use std::sync::Arc;

use bytes::Bytes;
use midplane_storm::admin::{Admin, Answer};
use midplane_storm::host::Target;
use tokio::sync::Notify;

use crate::app::{self, Components};
use crate::random::Random;
use crate::record::{Content, Effect, Record};
use crate::write::Desk;

/// What the record calls the register in which deploys are.
pub const STORE: &str = "journal";

/// Deploys until the host is gone; `first` is told when the first one is acknowledged.
pub async fn run(
    desk: Desk,
    target: Target,
    components: Arc<Components>,
    mut random: Random,
    first: Arc<Notify>,
) {
    let mut admin = Admin::of(&target, app::NAME);
    loop {
        let id = desk.numbers.next();
        let (service, _) = app::SERVICES[random.below(app::SERVICES.len() as u64) as usize];
        desk.recorder.write(&Record::Sent {
            id,
            store: STORE.to_owned(),
            key: app::VERSION.to_owned(),
            counter: id,
            effect: Effect::Set(Content::of(Components::says(id).as_bytes())),
        });
        let Ok(version) = components.version(id) else {
            return;
        };
        let set = [
            (app::VERSION, Bytes::from(version)),
            (service, Bytes::from(components.data(service, id))),
        ];
        let Ok(is_done) = deploy(&mut admin, set).await else {
            return;
        };
        desk.recorder.write(&match is_done {
            true => Record::Acknowledged(id),
            false => Record::Refused(id),
        });
        first.notify_one();
    }
}

async fn deploy(admin: &mut Admin, set: [(&str, Bytes); 2]) -> anyhow::Result<bool> {
    let mut services = Vec::new();
    for (service, component) in set {
        match admin.upload(component).await? {
            Ok(digest) => services.push((service, digest)),
            Err(_) => return Ok(false),
        }
    }
    Ok(matches!(admin.deploy(&services).await?, Answer::Done(_)))
}
