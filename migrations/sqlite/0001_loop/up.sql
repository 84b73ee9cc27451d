-- Ids are UUIDs as 16 bytes; times are RFC 3339 text of fixed width, so that text order is time order; JSON is text.

CREATE TABLE organization (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    number INTEGER NOT NULL UNIQUE CHECK (number > 0),
    version INTEGER NOT NULL CHECK (version > 0),
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    parent_id BLOB REFERENCES organization (id) CHECK (length(parent_id) = 16),
    ror TEXT UNIQUE,
    focus TEXT NOT NULL,
    lifecycle TEXT,
    search TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    head BLOB NOT NULL
) STRICT;

CREATE TABLE person (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    number INTEGER NOT NULL UNIQUE CHECK (number > 0),
    version INTEGER NOT NULL CHECK (version > 0),
    name TEXT NOT NULL,
    email TEXT NOT NULL,
    email_folded TEXT NOT NULL UNIQUE,
    orcid TEXT UNIQUE,
    roles TEXT NOT NULL,
    organizations TEXT NOT NULL,
    expertise TEXT NOT NULL,
    accepting_work INTEGER NOT NULL CHECK (accepting_work IN (0, 1)),
    disabled_at TEXT,
    search TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    head BLOB NOT NULL
) STRICT;

CREATE TABLE membership (
    person_id BLOB NOT NULL REFERENCES person (id) CHECK (length(person_id) = 16),
    organization_id BLOB NOT NULL REFERENCES organization (id) CHECK (length(organization_id) = 16),
    PRIMARY KEY (person_id, organization_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE credential (
    person_id BLOB NOT NULL PRIMARY KEY REFERENCES person (id) CHECK (length(person_id) = 16),
    password_hash TEXT NOT NULL,
    changed_at TEXT NOT NULL
) STRICT;

CREATE TABLE sign_in (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    person_id BLOB NOT NULL REFERENCES person (id) CHECK (length(person_id) = 16),
    at TEXT NOT NULL,
    address TEXT,
    succeeded INTEGER NOT NULL CHECK (succeeded IN (0, 1))
) STRICT;

CREATE TABLE lifecycle (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    number INTEGER NOT NULL UNIQUE CHECK (number > 0),
    version INTEGER NOT NULL CHECK (version > 0),
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    edition INTEGER NOT NULL CHECK (edition > 0),
    document TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    head BLOB NOT NULL,
    UNIQUE (kind, name, edition)
) STRICT;

CREATE TABLE discovery (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    number INTEGER NOT NULL UNIQUE CHECK (number > 0),
    version INTEGER NOT NULL CHECK (version > 0),
    title TEXT NOT NULL,
    summary TEXT NOT NULL,
    modality TEXT NOT NULL,
    conditions TEXT NOT NULL,
    lifecycle TEXT NOT NULL,
    stage TEXT NOT NULL,
    stage_entered_at TEXT NOT NULL,
    held_from TEXT,
    stop_reason TEXT,
    trl INTEGER CHECK (trl BETWEEN 1 AND 9),
    lab_id BLOB NOT NULL REFERENCES organization (id) CHECK (length(lab_id) = 16),
    owner_id BLOB NOT NULL REFERENCES person (id) CHECK (length(owner_id) = 16),
    owners TEXT NOT NULL,
    visibility TEXT NOT NULL,
    shared_with TEXT NOT NULL,
    embargo_until TEXT,
    refs TEXT NOT NULL,
    tags TEXT NOT NULL,
    origin_insight_id BLOB REFERENCES insight (id) CHECK (length(origin_insight_id) = 16),
    terms TEXT NOT NULL,
    search TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    head BLOB NOT NULL
) STRICT;

CREATE TABLE trial (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    number INTEGER NOT NULL UNIQUE CHECK (number > 0),
    version INTEGER NOT NULL CHECK (version > 0),
    nct_id TEXT UNIQUE,
    org_study_id TEXT,
    acronym TEXT,
    brief_title TEXT NOT NULL,
    official_title TEXT,
    study_type TEXT NOT NULL,
    phases TEXT NOT NULL,
    overall_status TEXT NOT NULL,
    last_known_status TEXT,
    status_entered_at TEXT NOT NULL,
    suspended_from TEXT,
    why_stopped TEXT,
    stop_reason TEXT,
    conditions TEXT NOT NULL,
    interventions TEXT NOT NULL,
    enrollment TEXT,
    start_date TEXT,
    primary_completion_date TEXT,
    completion_date TEXT,
    sponsor TEXT,
    fda_regulated INTEGER CHECK (fda_regulated IN (0, 1)),
    verified_on TEXT,
    clinic_id BLOB NOT NULL REFERENCES organization (id) CHECK (length(clinic_id) = 16),
    owner_id BLOB NOT NULL REFERENCES person (id) CHECK (length(owner_id) = 16),
    owners TEXT NOT NULL,
    refs TEXT NOT NULL,
    visibility TEXT NOT NULL,
    shared_with TEXT NOT NULL,
    embargo_until TEXT,
    source TEXT NOT NULL,
    discoveries TEXT NOT NULL,
    terms TEXT NOT NULL,
    search TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    head BLOB NOT NULL
) STRICT;

CREATE TABLE finding (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    number INTEGER NOT NULL UNIQUE CHECK (number > 0),
    version INTEGER NOT NULL CHECK (version > 0),
    trial_id BLOB NOT NULL REFERENCES trial (id) CHECK (length(trial_id) = 16),
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    narrative TEXT NOT NULL,
    observed_on TEXT NOT NULL,
    unexpected INTEGER NOT NULL CHECK (unexpected IN (0, 1)),
    effect TEXT,
    ctcae_grade INTEGER CHECK (ctcae_grade BETWEEN 1 AND 5),
    state TEXT NOT NULL,
    state_entered_at TEXT NOT NULL,
    disclosed INTEGER NOT NULL CHECK (disclosed IN (0, 1)),
    supersedes_id BLOB REFERENCES finding (id) CHECK (length(supersedes_id) = 16),
    owner_id BLOB NOT NULL REFERENCES person (id) CHECK (length(owner_id) = 16),
    owners TEXT NOT NULL,
    search TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    head BLOB NOT NULL
) STRICT;

CREATE TABLE insight (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    number INTEGER NOT NULL UNIQUE CHECK (number > 0),
    version INTEGER NOT NULL CHECK (version > 0),
    title TEXT NOT NULL,
    question TEXT NOT NULL,
    rationale TEXT NOT NULL,
    findings TEXT NOT NULL,
    discoveries TEXT NOT NULL,
    clinic_id BLOB NOT NULL REFERENCES organization (id) CHECK (length(clinic_id) = 16),
    lab_id BLOB NOT NULL REFERENCES organization (id) CHECK (length(lab_id) = 16),
    owner_id BLOB NOT NULL REFERENCES person (id) CHECK (length(owner_id) = 16),
    owners TEXT NOT NULL,
    assignee_id BLOB REFERENCES person (id) CHECK (length(assignee_id) = 16),
    urgency TEXT NOT NULL,
    state TEXT NOT NULL,
    state_entered_at TEXT NOT NULL,
    submitted_at TEXT,
    due_at TEXT,
    outcome TEXT,
    outcome_note TEXT,
    refined_discovery_id BLOB REFERENCES discovery (id) CHECK (length(refined_discovery_id) = 16),
    spawned TEXT NOT NULL,
    search TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    head BLOB NOT NULL
) STRICT;

CREATE TABLE pairing (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    number INTEGER NOT NULL UNIQUE CHECK (number > 0),
    version INTEGER NOT NULL CHECK (version > 0),
    discovery_id BLOB NOT NULL REFERENCES discovery (id) CHECK (length(discovery_id) = 16),
    kind TEXT NOT NULL,
    clinician_id BLOB REFERENCES person (id) CHECK (length(clinician_id) = 16),
    organization_id BLOB REFERENCES organization (id) CHECK (length(organization_id) = 16),
    proposed_by_id BLOB NOT NULL REFERENCES person (id) CHECK (length(proposed_by_id) = 16),
    proposing_side TEXT NOT NULL,
    owner_id BLOB NOT NULL REFERENCES person (id) CHECK (length(owner_id) = 16),
    owners TEXT NOT NULL,
    message TEXT NOT NULL,
    state TEXT NOT NULL,
    state_entered_at TEXT NOT NULL,
    answered_at TEXT,
    match_explanation TEXT,
    search TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    head BLOB NOT NULL
) STRICT;

CREATE TABLE transfer (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    number INTEGER NOT NULL UNIQUE CHECK (number > 0),
    version INTEGER NOT NULL CHECK (version > 0),
    state TEXT NOT NULL,
    proposed_by_id BLOB NOT NULL REFERENCES person (id) CHECK (length(proposed_by_id) = 16),
    from_person_id BLOB NOT NULL REFERENCES person (id) CHECK (length(from_person_id) = 16),
    to_person_id BLOB NOT NULL REFERENCES person (id) CHECK (length(to_person_id) = 16),
    steward_id BLOB REFERENCES organization (id) CHECK (length(steward_id) = 16),
    reason TEXT NOT NULL,
    records TEXT NOT NULL,
    forced INTEGER NOT NULL CHECK (forced IN (0, 1)),
    answer_reason TEXT,
    answered_at TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    head BLOB NOT NULL
) STRICT;

CREATE TABLE share (
    record_id BLOB NOT NULL CHECK (length(record_id) = 16),
    organization_id BLOB NOT NULL REFERENCES organization (id) CHECK (length(organization_id) = 16),
    PRIMARY KEY (record_id, organization_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE trial_link (
    trial_id BLOB NOT NULL REFERENCES trial (id) CHECK (length(trial_id) = 16),
    discovery_id BLOB NOT NULL REFERENCES discovery (id) CHECK (length(discovery_id) = 16),
    role TEXT NOT NULL,
    PRIMARY KEY (trial_id, discovery_id, role)
) STRICT, WITHOUT ROWID;

CREATE TABLE citation (
    insight_id BLOB NOT NULL REFERENCES insight (id) CHECK (length(insight_id) = 16),
    finding_id BLOB NOT NULL REFERENCES finding (id) CHECK (length(finding_id) = 16),
    PRIMARY KEY (insight_id, finding_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE insight_discovery (
    insight_id BLOB NOT NULL REFERENCES insight (id) CHECK (length(insight_id) = 16),
    discovery_id BLOB NOT NULL REFERENCES discovery (id) CHECK (length(discovery_id) = 16),
    PRIMARY KEY (insight_id, discovery_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE transfer_record (
    transfer_id BLOB NOT NULL REFERENCES transfer (id) CHECK (length(transfer_id) = 16),
    record_id BLOB NOT NULL CHECK (length(record_id) = 16),
    PRIMARY KEY (transfer_id, record_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE signature_challenge (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    person_id BLOB NOT NULL REFERENCES person (id) CHECK (length(person_id) = 16),
    record_kind TEXT NOT NULL,
    record_id BLOB NOT NULL CHECK (length(record_id) = 16),
    record_version INTEGER NOT NULL,
    meaning TEXT NOT NULL,
    digest BLOB NOT NULL,
    statement TEXT NOT NULL,
    issued_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    consumed_at TEXT
) STRICT;

CREATE TABLE event (
    enqueued INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    record_kind TEXT NOT NULL,
    record_id BLOB NOT NULL CHECK (length(record_id) = 16),
    record_version INTEGER NOT NULL CHECK (record_version > 0),
    action TEXT NOT NULL,
    move TEXT,
    from_state TEXT,
    to_state TEXT,
    actor_id BLOB CHECK (length(actor_id) = 16),
    at TEXT NOT NULL,
    effective_at TEXT NOT NULL,
    leaf BLOB NOT NULL,
    leaf_hash BLOB NOT NULL,
    salt BLOB CHECK (length(salt) = 32),
    payload BLOB,
    UNIQUE (record_id, record_version)
) STRICT;

CREATE TABLE event_mention (
    record_id BLOB NOT NULL CHECK (length(record_id) = 16),
    event_id BLOB NOT NULL REFERENCES event (id) CHECK (length(event_id) = 16),
    PRIMARY KEY (record_id, event_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE event_pending (
    enqueued INTEGER NOT NULL PRIMARY KEY REFERENCES event (enqueued)
) STRICT;

CREATE TABLE log_identity (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    log TEXT NOT NULL
) STRICT;

CREATE INDEX membership_by_organization ON membership (organization_id);
CREATE INDEX organization_by_parent ON organization (parent_id);
CREATE INDEX share_by_organization ON share (organization_id);
CREATE INDEX trial_link_by_discovery ON trial_link (discovery_id);
CREATE INDEX citation_by_finding ON citation (finding_id);
CREATE INDEX insight_discovery_by_discovery ON insight_discovery (discovery_id);
CREATE INDEX transfer_by_receiver ON transfer (to_person_id);
CREATE INDEX transfer_by_giver ON transfer (from_person_id);
CREATE INDEX transfer_record_by_record ON transfer_record (record_id);
CREATE INDEX sign_in_by_person ON sign_in (person_id, at);
CREATE INDEX discovery_by_stage ON discovery (stage, updated_at, id);
CREATE INDEX discovery_by_lab ON discovery (lab_id, updated_at, id);
CREATE INDEX discovery_by_owner ON discovery (owner_id);
CREATE INDEX discovery_by_update ON discovery (updated_at, id);
CREATE INDEX discovery_by_creation ON discovery (created_at, id);
CREATE INDEX trial_by_status ON trial (overall_status, updated_at, id);
CREATE INDEX trial_by_clinic ON trial (clinic_id, updated_at, id);
CREATE INDEX trial_by_owner ON trial (owner_id);
CREATE INDEX trial_by_update ON trial (updated_at, id);
CREATE INDEX trial_by_creation ON trial (created_at, id);
CREATE INDEX finding_by_trial ON finding (trial_id, updated_at, id);
CREATE INDEX finding_by_owner ON finding (owner_id);
CREATE INDEX finding_by_update ON finding (updated_at, id);
CREATE INDEX insight_by_lab ON insight (lab_id, state, due_at, id);
CREATE INDEX insight_by_clinic ON insight (clinic_id, updated_at, id);
CREATE INDEX insight_by_owner ON insight (owner_id);
CREATE INDEX insight_by_update ON insight (updated_at, id);
CREATE INDEX pairing_by_discovery ON pairing (discovery_id, state);
CREATE INDEX pairing_by_clinician ON pairing (clinician_id, state);
CREATE INDEX pairing_by_organization ON pairing (organization_id, state);
CREATE INDEX pairing_by_update ON pairing (updated_at, id);
-- At most one clinician leads a discovery, whoever accepts first.
CREATE UNIQUE INDEX pairing_one_lead ON pairing (discovery_id) WHERE kind = 'clinical_lead' AND state = 'accepted';
-- At most one open pairing of a discovery with the same clinician, and with the same sponsor (the kind follows from which).
CREATE UNIQUE INDEX pairing_one_open_clinician ON pairing (discovery_id, clinician_id) WHERE state IN ('proposed', 'accepted');
CREATE UNIQUE INDEX pairing_one_open_sponsor ON pairing (discovery_id, organization_id) WHERE state IN ('proposed', 'accepted');
CREATE INDEX event_by_effect ON event (record_kind, effective_at);
CREATE INDEX event_mention_by_event ON event_mention (event_id);

-- The numbers in codes (`D-17`): one counter a kind, moved by the one writer.
CREATE TABLE code_counter (
    kind TEXT NOT NULL PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO code_counter (kind, last) VALUES ('organization', 0), ('person', 0), ('lifecycle', 0), ('discovery', 0), ('trial', 0), ('finding', 0), ('insight', 0), ('pairing', 0), ('transfer', 0);


-- Events are final: changed by nobody, replaced by nobody (INSERT OR REPLACE would walk past a delete trigger). The one
-- permitted update destroys salt and payload together: a lawful erasure.
CREATE TRIGGER event_is_final BEFORE UPDATE ON event
WHEN NEW.salt IS NOT NULL OR NEW.payload IS NOT NULL OR NEW.enqueued IS NOT OLD.enqueued OR NEW.id IS NOT OLD.id
  OR NEW.record_kind IS NOT OLD.record_kind OR NEW.record_id IS NOT OLD.record_id
  OR NEW.record_version IS NOT OLD.record_version OR NEW.action IS NOT OLD.action OR NEW.move IS NOT OLD.move
  OR NEW.from_state IS NOT OLD.from_state OR NEW.to_state IS NOT OLD.to_state OR NEW.actor_id IS NOT OLD.actor_id
  OR NEW.at IS NOT OLD.at OR NEW.effective_at IS NOT OLD.effective_at OR NEW.leaf IS NOT OLD.leaf
  OR NEW.leaf_hash IS NOT OLD.leaf_hash
BEGIN SELECT RAISE(ABORT, 'events are final'); END;
CREATE TRIGGER event_is_kept BEFORE DELETE ON event BEGIN SELECT RAISE(ABORT, 'events are final'); END;
CREATE TRIGGER event_is_not_replaced BEFORE INSERT ON event
WHEN EXISTS (SELECT 1 FROM event WHERE id = NEW.id OR enqueued = NEW.enqueued
             OR (record_id = NEW.record_id AND record_version = NEW.record_version))
BEGIN SELECT RAISE(ABORT, 'UNIQUE constraint failed: events are final'); END;
CREATE TRIGGER log_identity_is_final BEFORE UPDATE ON log_identity BEGIN SELECT RAISE(ABORT, 'the log keeps its name'); END;
CREATE TRIGGER log_identity_is_kept BEFORE DELETE ON log_identity BEGIN SELECT RAISE(ABORT, 'the log keeps its name'); END;
