//! The table as people read it, in `docs/security.md` and from `benchside policy`.
use super::{Relation, Row, Rule, TABLE};
use crate::vocabulary::Role;

/// The whole table in Markdown: a row for each action and the kinds of record it is of, a column for each role, and what
/// the words in the cells mean.
pub fn markdown() -> String {
    let columns: Vec<_> = Role::ALL.iter().map(|role| role.as_str()).chain(["no role"]).collect();
    let mut page = format!("| action | of | {} |\n|---|---|{}\n", columns.join(" | "), "---|".repeat(columns.len()));
    for (row, rule) in TABLE.iter().flat_map(|row| row.rules.iter().map(move |rule| (row, rule))) {
        page += &line(row, rule);
    }
    page += "\n| in a cell | the person is |\n|---|---|\n";
    for relation in Relation::ALL {
        page += &format!("| {relation} | {} |\n", relation.meaning());
    }
    page += "\n| action | what it is |\n|---|---|\n";
    for row in TABLE {
        page += &format!("| `{}` | {} |\n", row.name, row.meaning);
    }
    page
}

fn line(row: &Row, rule: &Rule) -> String {
    let kinds: Vec<_> = rule.over.iter().map(|kind| kind.as_str()).collect();
    let roles = Role::ALL.iter().copied().map(Some).chain([None]);
    let cells: Vec<_> = roles.map(|role| cell(rule, role)).collect();
    format!("| `{}` | {} | {} |\n", row.name, kinds.join(", "), cells.join(" | "))
}

/// Under what somebody of one role, or of none, may: any of these is enough.
fn cell(rule: &Rule, role: Option<Role>) -> String {
    let roles = role.into_iter().collect();
    let admitted: Vec<_> = rule.grants.iter().filter(|g| g.is_for(&roles)).map(|g| g.relation.as_str()).collect();
    match admitted.iter().find(|relation| **relation == Relation::Any.as_str()) {
        Some(any) => (*any).to_owned(), // whatever else they are
        None => admitted.join(", "),
    }
}
