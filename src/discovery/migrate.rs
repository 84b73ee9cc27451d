//! The use case that moves a discovery to another lifecycle, or another version of its own: an administrator's reasoned
//! act, outside the gates.
use super::Discovery;
use crate::{
    Error, Result,
    db::Conn,
    error::Code,
    fault::{Faults, Reason, Text},
    ledger::{Change, Context, record_change},
    lifecycle::{self, Lifecycle, State},
    vocabulary::Action,
};
use deserr::Deserr;
use utoipa::ToSchema;

/// The name under which the act shows among the moves.
pub const CHANGE_LIFECYCLE: &str = "change_lifecycle";

/// Which lifecycle a discovery moves to, where it stands there, and why.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({
    "lifecycle": "device@2", "stage": "preclinical", "reason": "The programme is regulated as a device from now on"
}))]
pub struct NewStanding {
    /// `name@version`.
    pub lifecycle: Text<1, 60>,
    /// A stage of that lifecycle, no hold; of one that has ended, a stage in which it has ended alike.
    pub stage: Text<1, 60>,
    /// Why.
    pub reason: Reason,
}

/// Moves a discovery to another lifecycle. The caller has checked who may, and the version. A hold ends with it.
///
/// # Errors
/// 422 for a lifecycle or stage that does not fit, 409 for the lifecycle it has.
pub fn migrate(conn: &mut Conn, context: &Context, mut discovery: Discovery, new: NewStanding) -> Result<Discovery> {
    let (Text(reference), Text(stage)) = (new.lifecycle, new.stage);
    let Some(lifecycle) = lifecycle::store::lookup(conn, &reference)? else {
        return Err(Error::fault("/lifecycle", "not_found", "must be a lifecycle of discoveries, as name@version"));
    };
    let present = lifecycle::store::resolve(conn, &discovery.lifecycle)?;
    check_stage(&present, &discovery.stage, &lifecycle, &stage)?;
    if discovery.lifecycle == reference {
        return Err(Error::refused(Code::Conflict, format!("The discovery moves by {reference} already.")));
    }
    let change = Change {
        move_name: Some(CHANGE_LIFECYCLE.to_owned()),
        from: Some(discovery.stage.clone()),
        to: Some(stage.clone()),
        ..Change::of(Action::Moved).because(Some(new.reason.into()))
    };
    if discovery.stage != stage {
        discovery.stage = stage;
        discovery.stage_entered_at = context.at;
    }
    discovery.lifecycle = reference;
    discovery.held_from = None;
    record_change(conn, context, &mut discovery, change)?;
    Ok(discovery)
}

/// Ending a discovery and reviving one take a signature, so this act does neither.
fn check_stage(present: &Lifecycle, from: &str, next: &Lifecycle, to: &str) -> Result<()> {
    let Some(state) = next.state(to) else {
        let states: Vec<_> = next.states().iter().filter(|s| !s.hold).map(|s| s.name.as_str()).collect();
        return Err(Error::fault("/stage", "unknown_value", format!("must be one of {}", states.join(", "))));
    };
    if state.hold || state.registry {
        return Err(Error::fault("/stage", "not_applicable", "must be a stage in which work goes on or has ended"));
    }
    let ended = |state: Option<&State>| state.and_then(|s| s.end);
    if ended(present.state(from)) != ended(Some(state)) {
        let message = "must not end the discovery, nor revive it: its moves do that";
        return Err(Error::fault("/stage", "not_applicable", message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::builtin;

    #[test]
    fn neither_a_hold_nor_another_end_is_a_stage_to_move_to() {
        let own = builtin::discovery();
        let check = |from, to| check_stage(own, from, own, to).is_ok();
        assert!(check("logged", "preclinical"));
        assert!(check("on_hold", "validated"));
        assert!(check("discontinued", "discontinued"));
        for (from, to) in [
            ("logged", "on_hold"),
            ("logged", "discontinued"),
            ("discontinued", "logged"),
            ("public_health", "discontinued"),
            ("logged", "nowhere"),
        ] {
            assert!(!check(from, to), "{from} to {to}");
        }
    }
}
