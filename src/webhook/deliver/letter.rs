//! The letter of a delivery: what its owner may see of the event now, and signed now.
use crate::{
    Error, Result,
    db::{Conn, columns::Time},
    id::WebhookId,
    ledger::{
        feed::{self, CloudEvent},
        log,
        pulse::Published,
    },
    vocabulary::WebhookState,
    webhook::{change::reader, secret, send::Letter, store},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;

/// An event as it is sent: with the checkpoint that proves it, base64 of the signed note (CloudEvents forbids its line ends
/// in strings).
#[derive(Serialize)]
struct Sent<'a> {
    #[serde(flatten)]
    event: &'a CloudEvent,
    checkpoint: String,
}

/// What is to be done with a delivery now.
pub enum Next {
    /// It is sent.
    Send(Letter),
    /// Its owner may not see it any more.
    LeaveOut,
    /// The webhook or its owner is not at work, this node has not seen the event's place yet, or another has the webhook.
    Wait,
    /// It cannot be read, which is a fault of ours: a try that came to nothing, or it would be tried for ever.
    Fail,
}

/// What is to be done with the delivery of this event.
///
/// # Errors
/// What the database says, or when the event cannot be read.
pub fn next(conn: &mut Conn, id: WebhookId, enqueued: i64, shown: &Published, at: Time) -> Result<Next> {
    let webhook = store::load(conn, id)?;
    if webhook.state != WebhookState::Enabled {
        return Ok(Next::Wait);
    }
    let Some(owner) = reader(conn, webhook.owner_id, at)? else { return Ok(Next::Wait) };
    let position = log::positions(conn, shown.generation, &[enqueued])?.remove(&enqueued);
    if position.and_then(|p| u64::try_from(p).ok()).is_none_or(|index| index >= shown.size) {
        return Ok(Next::Wait);
    }
    let Some(event) = feed::told(conn, &owner, shown, &[enqueued])?.pop() else { return Ok(Next::LeaveOut) };
    let sent = Sent { event: &event, checkpoint: STANDARD.encode(&shown.note) };
    let body = serde_json::to_vec(&sent).map_err(|e| Error::Internal(e.to_string()))?;
    let (id, timestamp) = (event.id.to_string(), at.utc().timestamp());
    let secrets = store::secrets(conn, webhook.id, at)?;
    let signature = secret::signatures(&secrets, &id, timestamp, &body);
    Ok(Next::Send(Letter { url: webhook.url, id, timestamp, signature, body }))
}
