//! The use cases that change an organization: create, revise.
use super::{Organization, store};
use crate::{
    Error, Result,
    db::Conn,
    error::Code,
    fault::{Change as Patch, Faults, List, Text, Title},
    id::OrganizationId,
    identifier::Ror,
    ledger::{Change, Context, next_number, record_change},
    lifecycle,
    value::Condition,
    vocabulary::{Action, OrganizationKind, RecordKind},
};
use deserr::Deserr;
use utoipa::ToSchema;

/// An organization to create.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({
    "name": "Motor Neuron Lab", "kind": "lab", "parent_id": "01932f2a-8f4e-7c11-a3c9-0d4f6c1b2e55", "ror": "02mhbdp94",
    "focus": [{ "name": "Amyotrophic Lateral Sclerosis", "mesh": "D000690" }]
}))]
pub struct NewOrganization {
    /// 1–300 characters.
    pub name: Title,
    /// What it is; never changes.
    pub kind: OrganizationKind,
    /// The organization above it.
    #[deserr(default)]
    pub parent_id: Option<OrganizationId>,
    /// ROR id, unique.
    #[deserr(default)]
    pub ror: Option<Ror>,
    /// The conditions it works on.
    #[deserr(default)]
    #[schema(required = false)]
    pub focus: List<Condition>,
}

/// A merge patch of an organization.
#[derive(Debug, Clone, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
#[schema(example = json!({ "name": "Motor Neuron Laboratory", "lifecycle": "translational@1" }))]
pub struct OrganizationPatch {
    /// 1–300 characters.
    #[deserr(default)]
    #[schema(required = false)]
    pub name: Patch<Title>,
    /// The organization above it; not itself nor one below it.
    #[deserr(default)]
    #[schema(required = false)]
    pub parent_id: Patch<Option<OrganizationId>>,
    /// ROR id, unique.
    #[deserr(default)]
    #[schema(required = false)]
    pub ror: Patch<Option<Ror>>,
    /// The conditions it works on.
    #[deserr(default)]
    #[schema(required = false)]
    pub focus: Patch<List<Condition>>,
    /// The lifecycle of new discoveries here and below, `name@version`; null for that of the organization above.
    #[deserr(default)]
    #[schema(required = false)]
    pub lifecycle: Patch<Option<Text<1, 60>>>,
}

/// Creates an organization.
///
/// # Errors
/// 422 for a parent that does not exist, 409 for a ROR id that is taken.
pub fn create(conn: &mut Conn, context: &Context, new: NewOrganization) -> Result<Organization> {
    if let Some(parent) = new.parent_id {
        let mut faults = Faults::default();
        check_exists(conn, parent, &mut faults)?;
        faults.into_result()?;
    }
    check_ror_is_free(conn, new.ror.as_ref(), None)?;
    let mut organization = Organization {
        id: OrganizationId::fresh(),
        number: next_number(conn, RecordKind::Organization)?,
        version: 0,
        name: new.name.into(),
        kind: new.kind,
        parent_id: new.parent_id,
        ror: new.ror,
        focus: new.focus.0.into(),
        lifecycle: None,
        search: String::new(),
        created_at: context.at,
        updated_at: context.at,
        head: Vec::new(),
    };
    organization.index();
    save(conn, context, &mut organization, Action::Created)?;
    Ok(organization)
}

/// Revises an organization. The caller has checked who may, and the version.
///
/// # Errors
/// 422 for a parent or a lifecycle that does not fit, 409 for a ROR id that is taken.
pub fn revise(
    conn: &mut Conn,
    context: &Context,
    mut organization: Organization,
    patch: OrganizationPatch,
) -> Result<Organization> {
    let mut faults = Faults::default();
    if let Patch::To(Some(parent)) = patch.parent_id
        && check_exists(conn, parent, &mut faults)?
        && store::is_at_or_above(conn, organization.id, parent)?
    {
        faults.push("/parent_id", "cycle", "must not be the organization itself nor one below it");
    }
    if let Patch::To(Some(Text(reference))) = &patch.lifecycle
        && lifecycle::store::lookup(conn, reference)?.is_none()
    {
        faults.push("/lifecycle", "not_found", "must be a lifecycle of discoveries, as name@version");
    }
    faults.into_result()?;
    if let Patch::To(ror) = &patch.ror {
        check_ror_is_free(conn, ror.as_ref(), Some(organization.id))?;
    }
    patch.name.apply(&mut organization.name);
    patch.parent_id.apply_nullable(&mut organization.parent_id);
    patch.ror.apply_nullable(&mut organization.ror);
    if let Patch::To(focus) = patch.focus {
        organization.focus = focus.0.into();
    }
    patch.lifecycle.apply_nullable(&mut organization.lifecycle);
    organization.index();
    save(conn, context, &mut organization, Action::Revised)?;
    Ok(organization)
}

fn check_exists(conn: &mut Conn, parent: OrganizationId, faults: &mut Faults) -> Result<bool> {
    let exists = store::names(conn, [parent])?.contains_key(&parent);
    if !exists {
        faults.push("/parent_id", "not_found", format!("there is no organization {parent}"));
    }
    Ok(exists)
}

fn check_ror_is_free(conn: &mut Conn, ror: Option<&Ror>, own: Option<OrganizationId>) -> Result<()> {
    let Some(ror) = ror else { return Ok(()) };
    match store::by_ror(conn, ror)? {
        Some(holder) if Some(holder) != own => Err(ror_is_taken()),
        _ => Ok(()),
    }
}

fn ror_is_taken() -> Error {
    Error::refused(Code::Conflict, "That ROR id is taken by another organization.")
}

fn save(conn: &mut Conn, context: &Context, organization: &mut Organization, action: Action) -> Result<()> {
    // Two transactions may both have found the ROR id free: the table decides.
    let saved = record_change(conn, context, organization, Change::of(action));
    saved.map(drop).map_err(|e| if e.is_unique_violation() { ror_is_taken() } else { e })
}
