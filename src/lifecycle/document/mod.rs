//! Lifecycle documents: TOML in, a sound [`Lifecycle`] or every fault of the document out.
//!
//! The document is walked by hand rather than through `serde`, which stops at the first fault. What a document may
//! hold is best learnt from the built-in ones under `builtin/`. Whether the version is new, and who may add it, is
//! for the caller.
mod gates;
mod graph;
mod reader;

use super::{BodyMember, CORRECT, Lifecycle, Move, Origin, State, Target};
use crate::vocabulary::{RecordKind, StudyType, TrialStatus, UnknownValue};
use reader::{Node, Report, Section, quoted};
use serde::Serialize;
use std::{collections::BTreeMap, str::FromStr};
use toml::Table;
use utoipa::ToSchema;

/// The most bytes of a document.
pub const MAX_BYTES: usize = 256 * 1024;
/// The most states of a lifecycle.
pub const MAX_STATES: usize = 100;
/// The most moves of a lifecycle.
pub const MAX_MOVES: usize = 400;
/// The highest version.
pub const MAX_VERSION: u32 = 10_000;

const MAX_NAME: usize = 40;
const MAX_LABEL: usize = 100;
const MAX_MEANING: usize = 2000;
const MAX_COLUMNS: usize = 20;
const MAX_GATES: usize = 50;

/// The kinds of record that have a lifecycle.
const MOVING_KINDS: &[RecordKind] =
    &[RecordKind::Discovery, RecordKind::Trial, RecordKind::Finding, RecordKind::Insight, RecordKind::Pairing];

/// One fault of a lifecycle document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DocumentFault {
    /// Where in the document, such as `moves[3].gates[0].role`; empty for the document as a whole.
    #[schema(max_length = 1000, example = "moves[3].gates[0].role[0]")]
    pub path: String,
    /// What is wrong, as a sentence without its subject.
    #[schema(max_length = 10000)]
    pub message: String,
}

impl std::fmt::Display for DocumentFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = if self.path.is_empty() { "the document" } else { &self.path };
        write!(f, "{place}: {}", self.message)
    }
}

impl Lifecycle {
    /// Reads a document.
    ///
    /// # Errors
    /// Every fault of it: unknown members and words, names and sizes out of bounds, duplicates, unreachable states,
    /// dead ends, and anything but one initial state. A text that is no TOML has that one fault.
    pub fn parse(text: &str) -> Result<Self, Vec<DocumentFault>> {
        let mut report = Report::default();
        let lifecycle = document_table(text, &mut report).and_then(|table| read_lifecycle(&table, &mut report));
        match (lifecycle, report.into_faults()) {
            (Some(lifecycle), faults) if faults.is_empty() => Ok(lifecycle),
            (_, faults) => Err(faults),
        }
    }
}

fn document_table(text: &str, report: &mut Report) -> Option<Table> {
    if text.len() > MAX_BYTES {
        report.fault("", format!("must be at most {MAX_BYTES} bytes long, is {}", text.len()));
        return None;
    }
    text.parse().map_err(|error| report.fault("", not_toml(text, &error))).ok()
}

/// The parser's complaint and its line; its own rendering would repeat the line itself, however long.
fn not_toml(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = 1 + before.matches('\n').count();
    format!("is not TOML: line {line}: {}", error.message())
}

fn read_lifecycle(table: &Table, report: &mut Report) -> Option<Lifecycle> {
    let section = Section::new(String::new(), table, &["kind", "name", "version", "states", "moves"], report);
    let kind = section.required("kind", report).and_then(|node| read_kind(&node, report));
    let name = section.required("name", report).and_then(|node| read_name(&node, report));
    let version = section.required("version", report).and_then(|node| node.integer(1..=i64::from(MAX_VERSION), report));
    let states = section.required("states", report).and_then(|node| node.items(MAX_STATES, report));
    let states = states.and_then(|nodes| all(nodes, |node| read_state(node, kind, report)));
    let moves = section.required("moves", report).and_then(|node| node.items_or_none(MAX_MOVES, report));
    let moves = moves.and_then(|nodes| all(nodes, |node| read_move(node, kind, report)));

    // A state or move that cannot be read at all would make others look unreachable: the graph waits for its repair.
    let (states, moves) = (states?, moves?);
    graph::check(&states, &moves, report);
    Some(Lifecycle { kind: kind?, name: name?, version: u32::try_from(version?).ok()?, states, moves })
}

/// Reads every node, bad ones included, and answers only if each could be read.
fn all<T>(nodes: Vec<Node<'_>>, mut read: impl FnMut(&Node<'_>) -> Option<T>) -> Option<Vec<T>> {
    let read: Vec<Option<T>> = nodes.iter().map(&mut read).collect();
    read.into_iter().collect()
}

fn read_kind(node: &Node<'_>, report: &mut Report) -> Option<RecordKind> {
    let kinds: Vec<_> = MOVING_KINDS.iter().map(|kind| kind.as_str()).collect();
    let kind = node.string(report)?.parse().ok().filter(|kind| MOVING_KINDS.contains(kind));
    kind.or_else(|| node.refuse(format!("must be one of {}", kinds.join(", ")), report))
}

/// A name of the document's own; a bad one is reported, and read all the same.
fn read_name(node: &Node<'_>, report: &mut Report) -> Option<String> {
    let name = node.string(report)?;
    if !is_name(name) {
        let rule = "must begin with a letter a–z and hold only a–z, 0–9, _ and -";
        report.fault(&node.path, format!("{rule}, at most {MAX_NAME} characters"));
    }
    Some(name.to_owned())
}

/// `^[a-z][a-z0-9_-]{0,39}$`
fn is_name(text: &str) -> bool {
    let tail = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    text.len() <= MAX_NAME && text.starts_with(|first: char| first.is_ascii_lowercase()) && text.bytes().all(tail)
}

/// The name of a state: a trial's is a word of the registry, any other its document's own.
fn read_state_name(node: &Node<'_>, kind: Option<RecordKind>, report: &mut Report) -> Option<String> {
    if kind == Some(RecordKind::Trial) {
        let name = node.string(report)?;
        node.word::<TrialStatus>(report);
        return Some(name.to_owned());
    }
    let name = read_name(node, report)?;
    if name == Target::ANY || name == Target::HELD_FROM {
        report.fault(&node.path, format!("{} says where moves start or lead, and names no state", quoted(&name)));
    }
    Some(name)
}

fn read_state(node: &Node<'_>, kind: Option<RecordKind>, report: &mut Report) -> Option<State> {
    const KNOWN: &[&str] = &["name", "label", "meaning", "initial", "end", "hold", "registry", "columns"];
    let section = node.section(KNOWN, report)?;
    let name = section.required("name", report).and_then(|node| read_state_name(&node, kind, report));
    let label = section.required("label", report).and_then(|node| node.text(MAX_LABEL, report));
    let meaning = section.required("meaning", report).and_then(|node| node.text(MAX_MEANING, report));
    let state = State {
        name: name?,
        label: label.unwrap_or_default(),
        meaning: meaning.unwrap_or_default(),
        initial: section.flag("initial", report),
        end: section.optional("end").and_then(|node| node.word(report)),
        hold: section.flag("hold", report),
        registry: section.flag("registry", report),
        columns: section.optional("columns").map(|node| read_columns(&node, report)).unwrap_or_default(),
    };
    if state.hold && (state.initial || state.is_final()) {
        report.fault(&section.path, "is a hold, and so can be neither initial nor an end");
    }
    if state.registry && state.initial {
        report.fault(&section.path, "is set by a registry, and so cannot be initial");
    }
    Some(state)
}

fn read_columns(node: &Node<'_>, report: &mut Report) -> BTreeMap<String, String> {
    let Some(table) = node.value.as_table() else {
        report.fault(&node.path, "must be a table of texts");
        return BTreeMap::new();
    };
    if table.len() > MAX_COLUMNS {
        report.fault(&node.path, format!("must have at most {MAX_COLUMNS} members, has {}", table.len()));
    }
    let mut columns = BTreeMap::new();
    for (name, value) in table {
        let column = Node { path: format!("{}.{}", node.path, name.chars().take(60).collect::<String>()), value };
        if !is_name(name) {
            report.fault(&column.path, "is no name: a letter a–z, then a–z, 0–9, _ and -");
        }
        if let Some(text) = column.text(MAX_LABEL, report) {
            columns.insert(name.clone(), text);
        }
    }
    columns
}

fn read_move(node: &Node<'_>, kind: Option<RecordKind>, report: &mut Report) -> Option<Move> {
    const KNOWN: &[&str] = &["name", "from", "to", "gates", "brings", "study_types", "automatic"];
    let section = node.section(KNOWN, report)?;
    let name = section.required("name", report).and_then(|node| read_name(&node, report));
    let from = section.required("from", report).and_then(|node| read_origin(&node, report));
    let to = section.required("to", report).and_then(|node| read_target(&node, report));
    let gates = section.optional("gates").and_then(|node| node.items_or_none(MAX_GATES, report)).unwrap_or_default();
    let gates = gates.iter().filter_map(|node| gates::read_spec(node, kind, report)).collect();
    let brings = read_brings(&section, kind, report);
    let study_types = read_study_types(&section, kind, report);
    let automatic = section.flag("automatic", report);
    let read = Move { name: name?, from: from?, to: to?, gates, brings, study_types, automatic };
    if !read.is_correction() && (read.from == Origin::Any || read.to == Target::Any) {
        report.fault(&section.path, format!("must name its states: only `{CORRECT}` goes from or to `any`"));
    }
    Some(read)
}

fn read_origin(node: &Node<'_>, report: &mut Report) -> Option<Origin> {
    match node.value.as_str() {
        Some(Origin::ANY) => Some(Origin::Any),
        Some(name) => Some(Origin::States(vec![name.to_owned()])),
        None => read_names(node, report).map(Origin::States),
    }
}

fn read_target(node: &Node<'_>, report: &mut Report) -> Option<Target> {
    match node.value.as_str() {
        Some(Target::ANY) => Some(Target::Any),
        Some(Target::HELD_FROM) => Some(Target::HeldFrom),
        Some(name) => Some(Target::States(vec![name.to_owned()])),
        None => read_names(node, report).map(Target::States),
    }
}

/// Names of states; whether there are such states is a question for the graph.
fn read_names(node: &Node<'_>, report: &mut Report) -> Option<Vec<String>> {
    let nodes = node.items(MAX_STATES, report)?;
    all(nodes, |item| item.string(report).map(str::to_owned))
}

fn read_brings(section: &Section<'_>, kind: Option<RecordKind>, report: &mut Report) -> Vec<BodyMember> {
    let brings: Vec<Brought> = section.words("brings", report);
    if let (Some(node), Some(kind)) = (section.optional("brings"), kind)
        && kind != RecordKind::Insight
    {
        report.fault(node.path, format!("is for insights; a move of a {kind} asks with gates"));
    }
    brings.into_iter().map(|Brought(member)| member).collect()
}

/// A member of the body that no gate asks for.
#[derive(PartialEq)]
struct Brought(BodyMember);

impl FromStr for Brought {
    type Err = UnknownValue;
    fn from_str(text: &str) -> Result<Self, UnknownValue> {
        match text.parse() {
            Ok(member @ (BodyMember::Outcome | BodyMember::LabId)) => Ok(Self(member)),
            _ => Err(UnknownValue { expected: &["outcome", "lab_id"] }),
        }
    }
}

fn read_study_types(section: &Section<'_>, kind: Option<RecordKind>, report: &mut Report) -> Vec<StudyType> {
    if let (Some(node), Some(kind)) = (section.optional("study_types"), kind)
        && kind != RecordKind::Trial
    {
        report.fault(node.path, format!("is for trials; a {kind} has no study type"));
    }
    section.words("study_types", report)
}

#[cfg(test)]
mod tests;
