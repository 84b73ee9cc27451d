//! Reads the gates of a move.
use super::super::{Gate, GateSpec};
use super::reader::{Node, Report, Section, quoted};
use crate::vocabulary::{RecordKind, ReferenceKind, Role};

/// The members of a gate's table beside its own name.
const QUALIFIERS: &[&str] = &["at_least", "when_modality"];
const MAX_BRANCHES: usize = 20;
const ANY_KIND: &str = "any";

/// Reads a gate; what is wrong with it is reported, whether or not a gate is left of it.
pub(super) fn read_spec(node: &Node<'_>, kind: Option<RecordKind>, report: &mut Report) -> Option<GateSpec> {
    let section = gate_section(node, report)?;
    let when_modality = section.words("when_modality", report);
    if let (Some(limit), Some(kind)) = (section.optional("when_modality"), kind)
        && kind != RecordKind::Discovery
    {
        report.fault(limit.path, format!("is for discoveries; a {kind} has no modality"));
    }
    let gate = read_gate(&section, kind, true, report)?;
    Some(GateSpec { gate, when_modality })
}

fn gate_section<'a>(node: &Node<'a>, report: &mut Report) -> Option<Section<'a>> {
    let Some(table) = node.value.as_table() else {
        return node.refuse("must be a table such as { steward = true }", report);
    };
    let known = [Gate::NAMES, QUALIFIERS].concat();
    Some(Section::new(node.path.clone(), table, &known, report))
}

fn read_gate(section: &Section<'_>, kind: Option<RecordKind>, outermost: bool, report: &mut Report) -> Option<Gate> {
    let mut named: Vec<_> = section.members().filter(|(member, _)| Gate::NAMES.contains(member)).collect();
    if named.len() != 1 {
        let message = format!("must name exactly one gate, of {}", Gate::NAMES.join(", "));
        report.fault(&section.path, message);
        return None;
    }
    let (name, node) = named.pop()?;
    if let Some(least) = section.optional("at_least")
        && name != "field"
    {
        report.fault(least.path, "goes with `field`");
    }
    let gate = match name {
        "role" => Gate::Role(read_roles(&node, kind, report)?),
        "steward" => granted(&node, Gate::Steward, report)?,
        "party" => granted(&node, Gate::Party, report)?,
        "owner" => granted(&node, Gate::Owner, report)?,
        "lab" => granted(&node, Gate::Lab, report)?,
        "insight" => granted(&node, Gate::Insight, report)?,
        "side" => Gate::Side(node.word(report)?),
        "reason" => Gate::Reason(node.word(report)?),
        "field" => read_field(section, &node, kind, report)?,
        "evidence" => Gate::Evidence(read_evidence(&node, report)?),
        "pairing" => Gate::Pairing(node.word(report)?),
        "trial" => read_trial(&node, report)?,
        "signature" => Gate::Signature(node.word(report)?),
        "enrolled" => Gate::Enrolled(node.word(report)?),
        _ => read_any_of(&node, kind, outermost, report)?,
    };
    if let Some(kind) = kind
        && !gate.applies_to(kind)
    {
        report.fault(node.path, format!("can never be met by a {kind}"));
    }
    Some(gate)
}

/// Gates that are only there or not.
fn granted(node: &Node<'_>, gate: Gate, report: &mut Report) -> Option<Gate> {
    if node.flag(report)? { Some(gate) } else { node.refuse("must be true, or left out", report) }
}

/// Partners take part in pairings only; auditors write nothing.
fn read_roles(node: &Node<'_>, kind: Option<RecordKind>, report: &mut Report) -> Option<Vec<Role>> {
    let roles: Vec<Role> = node.words(report)?;
    for role in &roles {
        let admitted = match role {
            Role::Scientist | Role::Clinician | Role::Administrator => true,
            Role::Partner => kind.is_none_or(|kind| kind == RecordKind::Pairing),
            Role::Auditor => false,
        };
        if !admitted {
            report.fault(&node.path, format!("must not admit {}", quoted(role.as_str())));
        }
    }
    Some(roles)
}

fn read_field(section: &Section<'_>, node: &Node<'_>, kind: Option<RecordKind>, report: &mut Report) -> Option<Gate> {
    let name = node.string(report)?;
    let at_least = section.optional("at_least").map(|least| least.integer(i64::MIN..=i64::MAX, report));
    if let Some(kind) = kind {
        let (fields, numbers) = fields_of(kind);
        if !fields.contains(&name) && !numbers.contains(&name) {
            let known = [numbers, fields].concat().join(", ");
            return node.refuse(format!("{} is no field of a {kind}; fields: {known}", quoted(name)), report);
        }
        if at_least.is_some() && !numbers.contains(&name) {
            return node.refuse(format!("{} is no number, and so cannot be at least one", quoted(name)), report);
        }
    }
    Some(Gate::Field { name: name.to_owned(), at_least: at_least.flatten() })
}

/// The fields of a kind that may or may not be set, and those of them that hold a number.
const fn fields_of(kind: RecordKind) -> (&'static [&'static str], &'static [&'static str]) {
    match kind {
        RecordKind::Discovery => (
            &["summary", "conditions", "references", "tags", "shared_with", "embargo_until", "origin_insight_id"],
            &["trl"],
        ),
        RecordKind::Trial => (
            &[
                "nct_id",
                "org_study_id",
                "acronym",
                "official_title",
                "phases",
                "conditions",
                "interventions",
                "enrollment",
                "start_date",
                "primary_completion_date",
                "completion_date",
                "sponsor",
                "fda_regulated",
                "verified_on",
                "references",
            ],
            &[],
        ),
        RecordKind::Finding => (&["narrative", "observed_on", "effect", "supersedes_id"], &["ctcae_grade"]),
        RecordKind::Insight => (&["rationale", "discoveries", "assignee_id", "due_at", "outcome_note"], &[]),
        RecordKind::Pairing => (&["clinician_id", "organization_id", "message"], &[]),
        RecordKind::Organization
        | RecordKind::Person
        | RecordKind::Lifecycle
        | RecordKind::Transfer
        | RecordKind::Webhook => (&[], &[]),
    }
}

/// A list of kinds, or `any`.
fn read_evidence(node: &Node<'_>, report: &mut Report) -> Option<Vec<ReferenceKind>> {
    if node.value.as_str() == Some(ANY_KIND) { Some(ReferenceKind::ALL.to_vec()) } else { node.words(report) }
}

fn read_trial(node: &Node<'_>, report: &mut Report) -> Option<Gate> {
    let section = node.section(&["phases", "statuses"], report)?;
    let phases = section.required("phases", report).and_then(|node| node.words(report));
    let statuses = section.required("statuses", report).and_then(|node| node.words(report));
    Some(Gate::Trial { phases: phases?, statuses: statuses? })
}

fn read_any_of(node: &Node<'_>, kind: Option<RecordKind>, outermost: bool, report: &mut Report) -> Option<Gate> {
    if !outermost {
        return node.refuse("must not stand inside another `any_of`", report);
    }
    let branches = node.items(MAX_BRANCHES, report)?;
    let branches = branches.iter().filter_map(|branch| {
        let section = gate_section(branch, report)?;
        if let Some(limit) = section.optional("when_modality") {
            report.fault(limit.path, "limits a whole gate, not a branch of one");
        }
        read_gate(&section, kind, false, report)
    });
    Some(Gate::AnyOf(branches.collect()))
}
