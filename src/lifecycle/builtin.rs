//! The lifecycles that every installation has, embedded as the documents they are.
//!
//! Discoveries may be given others; trials, findings, insights and pairings move by these alone.
use super::Lifecycle;
use crate::vocabulary::RecordKind;
use std::sync::LazyLock;

/// The state of a pairing that grants sight and opens gates.
pub const ACCEPTED: &str = "accepted";

const DISCOVERY: &str = include_str!("builtin/discovery.toml");
const TRIAL: &str = include_str!("builtin/trial.toml");
const FINDING: &str = include_str!("builtin/finding.toml");
const INSIGHT: &str = include_str!("builtin/insight.toml");
const PAIRING: &str = include_str!("builtin/pairing.toml");

/// `translational@1`
pub fn discovery() -> &'static Lifecycle {
    static PARSED: LazyLock<Lifecycle> = LazyLock::new(|| embedded(DISCOVERY));
    &PARSED
}

/// `trial@1`: the overall status of ClinicalTrials.gov.
pub fn trial() -> &'static Lifecycle {
    static PARSED: LazyLock<Lifecycle> = LazyLock::new(|| embedded(TRIAL));
    &PARSED
}

/// `finding@1`
pub fn finding() -> &'static Lifecycle {
    static PARSED: LazyLock<Lifecycle> = LazyLock::new(|| embedded(FINDING));
    &PARSED
}

/// `insight@1`
pub fn insight() -> &'static Lifecycle {
    static PARSED: LazyLock<Lifecycle> = LazyLock::new(|| embedded(INSIGHT));
    &PARSED
}

/// `pairing@1`
pub fn pairing() -> &'static Lifecycle {
    static PARSED: LazyLock<Lifecycle> = LazyLock::new(|| embedded(PAIRING));
    &PARSED
}

/// The lifecycle of a kind, where records of that kind move.
pub fn builtin(kind: RecordKind) -> Option<&'static Lifecycle> {
    match kind {
        RecordKind::Discovery => Some(discovery()),
        RecordKind::Trial => Some(trial()),
        RecordKind::Finding => Some(finding()),
        RecordKind::Insight => Some(insight()),
        RecordKind::Pairing => Some(pairing()),
        RecordKind::Organization
        | RecordKind::Person
        | RecordKind::Lifecycle
        | RecordKind::Transfer
        | RecordKind::Webhook => None,
    }
}

/// The document that [`builtin`] is read from.
pub const fn builtin_document(kind: RecordKind) -> Option<&'static str> {
    match kind {
        RecordKind::Discovery => Some(DISCOVERY),
        RecordKind::Trial => Some(TRIAL),
        RecordKind::Finding => Some(FINDING),
        RecordKind::Insight => Some(INSIGHT),
        RecordKind::Pairing => Some(PAIRING),
        RecordKind::Organization
        | RecordKind::Person
        | RecordKind::Lifecycle
        | RecordKind::Transfer
        | RecordKind::Webhook => None,
    }
}

/// Embedded documents are part of the program, and a test reads each: a fault in one cannot reach a user.
fn embedded(document: &str) -> Lifecycle {
    Lifecycle::parse(document).unwrap_or_else(|faults| unreachable!("an embedded lifecycle has faults: {faults:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_moving_kind_has_its_document() {
        let names = |kind: &RecordKind| builtin(*kind).map(Lifecycle::reference);
        let references: Vec<_> = RecordKind::ALL.iter().filter_map(names).collect();
        assert_eq!(references, ["translational@1", "trial@1", "finding@1", "insight@1", "pairing@1"]);
        for kind in RecordKind::ALL {
            assert_eq!(builtin(*kind).is_some(), builtin_document(*kind).is_some());
            assert!(builtin(*kind).is_none_or(|lifecycle| lifecycle.kind() == *kind));
        }
    }

    #[test]
    fn records_start_where_the_domain_says() {
        let initial = |lifecycle: &'static Lifecycle| lifecycle.initial().name.as_str();
        assert_eq!(initial(discovery()), "logged");
        assert_eq!(initial(trial()), "NOT_YET_RECRUITING");
        assert_eq!([finding(), insight()].map(initial), ["draft", "draft"]);
        assert_eq!(initial(pairing()), "proposed");
    }
}
