-- The same tables as on SQLite, and the same order of text (bytes). `refs` stands for the reserved word `references`.

CREATE TABLE organization (
    id uuid NOT NULL PRIMARY KEY,
    number bigint NOT NULL UNIQUE CHECK (number > 0),
    version bigint NOT NULL CHECK (version > 0),
    name text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    parent_id uuid REFERENCES organization (id),
    ror text UNIQUE,
    focus jsonb NOT NULL,
    lifecycle text,
    search text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    head bytea NOT NULL
);

CREATE TABLE person (
    id uuid NOT NULL PRIMARY KEY,
    number bigint NOT NULL UNIQUE CHECK (number > 0),
    version bigint NOT NULL CHECK (version > 0),
    name text COLLATE "C" NOT NULL,
    email text NOT NULL,
    email_folded text NOT NULL UNIQUE,
    orcid text UNIQUE,
    roles jsonb NOT NULL,
    organizations jsonb NOT NULL,
    expertise jsonb NOT NULL,
    accepting_work boolean NOT NULL,
    disabled_at timestamptz,
    search text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    head bytea NOT NULL
);

CREATE TABLE membership (
    person_id uuid NOT NULL REFERENCES person (id),
    organization_id uuid NOT NULL REFERENCES organization (id),
    PRIMARY KEY (person_id, organization_id)
);

CREATE TABLE credential (
    person_id uuid NOT NULL PRIMARY KEY REFERENCES person (id),
    password_hash text NOT NULL,
    changed_at timestamptz NOT NULL
);

CREATE TABLE sign_in (
    id uuid NOT NULL PRIMARY KEY,
    person_id uuid NOT NULL REFERENCES person (id),
    at timestamptz NOT NULL,
    address text,
    succeeded boolean NOT NULL
);

CREATE TABLE lifecycle (
    id uuid NOT NULL PRIMARY KEY,
    number bigint NOT NULL UNIQUE CHECK (number > 0),
    version bigint NOT NULL CHECK (version > 0),
    kind text NOT NULL,
    name text COLLATE "C" NOT NULL,
    edition bigint NOT NULL CHECK (edition > 0),
    document text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    head bytea NOT NULL,
    UNIQUE (kind, name, edition)
);

CREATE TABLE discovery (
    id uuid NOT NULL PRIMARY KEY,
    number bigint NOT NULL UNIQUE CHECK (number > 0),
    version bigint NOT NULL CHECK (version > 0),
    title text COLLATE "C" NOT NULL,
    summary text NOT NULL,
    modality text NOT NULL,
    conditions jsonb NOT NULL,
    lifecycle text NOT NULL,
    stage text NOT NULL,
    stage_entered_at timestamptz NOT NULL,
    held_from text,
    stop_reason text,
    trl integer CHECK (trl BETWEEN 1 AND 9),
    lab_id uuid NOT NULL REFERENCES organization (id),
    owner_id uuid NOT NULL REFERENCES person (id),
    owners jsonb NOT NULL,
    visibility text NOT NULL,
    shared_with jsonb NOT NULL,
    embargo_until timestamptz,
    refs jsonb NOT NULL,
    tags jsonb NOT NULL,
    origin_insight_id uuid,
    terms text NOT NULL,
    search text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    head bytea NOT NULL
) WITH (fillfactor = 80);

CREATE TABLE trial (
    id uuid NOT NULL PRIMARY KEY,
    number bigint NOT NULL UNIQUE CHECK (number > 0),
    version bigint NOT NULL CHECK (version > 0),
    nct_id text UNIQUE,
    org_study_id text,
    acronym text,
    brief_title text COLLATE "C" NOT NULL,
    official_title text,
    study_type text NOT NULL,
    phases jsonb NOT NULL,
    overall_status text NOT NULL,
    last_known_status text,
    status_entered_at timestamptz NOT NULL,
    suspended_from text,
    why_stopped text,
    stop_reason text,
    conditions jsonb NOT NULL,
    interventions jsonb NOT NULL,
    enrollment jsonb,
    start_date jsonb,
    primary_completion_date jsonb,
    completion_date jsonb,
    sponsor jsonb,
    fda_regulated boolean,
    verified_on text,
    clinic_id uuid NOT NULL REFERENCES organization (id),
    owner_id uuid NOT NULL REFERENCES person (id),
    owners jsonb NOT NULL,
    refs jsonb NOT NULL,
    visibility text NOT NULL,
    shared_with jsonb NOT NULL,
    embargo_until timestamptz,
    source text NOT NULL,
    discoveries jsonb NOT NULL,
    terms text NOT NULL,
    search text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    head bytea NOT NULL
) WITH (fillfactor = 80);

CREATE TABLE finding (
    id uuid NOT NULL PRIMARY KEY,
    number bigint NOT NULL UNIQUE CHECK (number > 0),
    version bigint NOT NULL CHECK (version > 0),
    trial_id uuid NOT NULL REFERENCES trial (id),
    kind text NOT NULL,
    title text COLLATE "C" NOT NULL,
    narrative text NOT NULL,
    observed_on text NOT NULL,
    unexpected boolean NOT NULL,
    effect jsonb,
    ctcae_grade integer CHECK (ctcae_grade BETWEEN 1 AND 5),
    state text NOT NULL,
    state_entered_at timestamptz NOT NULL,
    disclosed boolean NOT NULL,
    supersedes_id uuid REFERENCES finding (id),
    owner_id uuid NOT NULL REFERENCES person (id),
    owners jsonb NOT NULL,
    search text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    head bytea NOT NULL
) WITH (fillfactor = 80);

CREATE TABLE insight (
    id uuid NOT NULL PRIMARY KEY,
    number bigint NOT NULL UNIQUE CHECK (number > 0),
    version bigint NOT NULL CHECK (version > 0),
    title text COLLATE "C" NOT NULL,
    question text NOT NULL,
    rationale text NOT NULL,
    findings jsonb NOT NULL,
    discoveries jsonb NOT NULL,
    clinic_id uuid NOT NULL REFERENCES organization (id),
    lab_id uuid NOT NULL REFERENCES organization (id),
    owner_id uuid NOT NULL REFERENCES person (id),
    owners jsonb NOT NULL,
    assignee_id uuid REFERENCES person (id),
    urgency text NOT NULL,
    state text NOT NULL,
    state_entered_at timestamptz NOT NULL,
    submitted_at timestamptz,
    due_at timestamptz,
    outcome text,
    outcome_note text,
    refined_discovery_id uuid REFERENCES discovery (id),
    spawned jsonb NOT NULL,
    search text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    head bytea NOT NULL
) WITH (fillfactor = 80);

CREATE TABLE pairing (
    id uuid NOT NULL PRIMARY KEY,
    number bigint NOT NULL UNIQUE CHECK (number > 0),
    version bigint NOT NULL CHECK (version > 0),
    discovery_id uuid NOT NULL REFERENCES discovery (id),
    kind text NOT NULL,
    clinician_id uuid REFERENCES person (id),
    organization_id uuid REFERENCES organization (id),
    proposed_by_id uuid NOT NULL REFERENCES person (id),
    proposing_side text NOT NULL,
    owner_id uuid NOT NULL REFERENCES person (id),
    owners jsonb NOT NULL,
    message text NOT NULL,
    state text NOT NULL,
    state_entered_at timestamptz NOT NULL,
    answered_at timestamptz,
    match_explanation jsonb,
    search text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    head bytea NOT NULL
) WITH (fillfactor = 80);

CREATE TABLE transfer (
    id uuid NOT NULL PRIMARY KEY,
    number bigint NOT NULL UNIQUE CHECK (number > 0),
    version bigint NOT NULL CHECK (version > 0),
    state text NOT NULL,
    proposed_by_id uuid NOT NULL REFERENCES person (id),
    from_person_id uuid NOT NULL REFERENCES person (id),
    to_person_id uuid NOT NULL REFERENCES person (id),
    steward_id uuid REFERENCES organization (id),
    reason text NOT NULL,
    records jsonb NOT NULL,
    forced boolean NOT NULL,
    answer_reason text,
    answered_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    head bytea NOT NULL
);

CREATE TABLE share (
    record_id uuid NOT NULL,
    organization_id uuid NOT NULL REFERENCES organization (id),
    PRIMARY KEY (record_id, organization_id)
);

CREATE TABLE trial_link (
    trial_id uuid NOT NULL REFERENCES trial (id),
    discovery_id uuid NOT NULL REFERENCES discovery (id),
    role text NOT NULL,
    PRIMARY KEY (trial_id, discovery_id, role)
);

CREATE TABLE citation (
    insight_id uuid NOT NULL REFERENCES insight (id),
    finding_id uuid NOT NULL REFERENCES finding (id),
    PRIMARY KEY (insight_id, finding_id)
);

CREATE TABLE insight_discovery (
    insight_id uuid NOT NULL REFERENCES insight (id),
    discovery_id uuid NOT NULL REFERENCES discovery (id),
    PRIMARY KEY (insight_id, discovery_id)
);

CREATE TABLE transfer_record (
    transfer_id uuid NOT NULL REFERENCES transfer (id),
    record_id uuid NOT NULL,
    PRIMARY KEY (transfer_id, record_id)
);

CREATE TABLE signature_challenge (
    id uuid NOT NULL PRIMARY KEY,
    person_id uuid NOT NULL REFERENCES person (id),
    record_kind text NOT NULL,
    record_id uuid NOT NULL,
    record_version bigint NOT NULL,
    meaning text NOT NULL,
    digest bytea NOT NULL,
    statement text NOT NULL,
    issued_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    attempts integer NOT NULL,
    consumed_at timestamptz
);

CREATE TABLE event (
    enqueued bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id uuid NOT NULL UNIQUE,
    record_kind text NOT NULL,
    record_id uuid NOT NULL,
    record_version bigint NOT NULL CHECK (record_version > 0),
    action text NOT NULL,
    move text,
    from_state text,
    to_state text,
    actor_id uuid,
    at timestamptz NOT NULL,
    effective_at timestamptz NOT NULL,
    leaf bytea NOT NULL,
    leaf_hash bytea NOT NULL,
    salt bytea CHECK (length(salt) = 32),
    payload bytea,
    UNIQUE (record_id, record_version)
);

CREATE TABLE event_mention (
    record_id uuid NOT NULL,
    event_id uuid NOT NULL REFERENCES event (id),
    PRIMARY KEY (record_id, event_id)
);

CREATE TABLE event_pending (
    enqueued bigint NOT NULL PRIMARY KEY REFERENCES event (enqueued)
);

CREATE TABLE log_identity (
    id integer NOT NULL PRIMARY KEY CHECK (id = 1),
    log text NOT NULL
);

ALTER TABLE discovery ADD FOREIGN KEY (origin_insight_id) REFERENCES insight (id);

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

-- The numbers in codes (`D-17`).
CREATE SEQUENCE organization_number;
CREATE SEQUENCE person_number;
CREATE SEQUENCE lifecycle_number;
CREATE SEQUENCE discovery_number;
CREATE SEQUENCE trial_number;
CREATE SEQUENCE finding_number;
CREATE SEQUENCE insight_number;
CREATE SEQUENCE pairing_number;
CREATE SEQUENCE transfer_number;


-- Events are final. The one permitted update destroys salt and payload together: a lawful erasure.
CREATE FUNCTION event_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.salt IS NULL AND NEW.payload IS NULL
       AND (to_jsonb(NEW) - 'salt' - 'payload') = (to_jsonb(OLD) - 'salt' - 'payload') THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'events are final';
END $$;
CREATE TRIGGER event_is_final BEFORE UPDATE OR DELETE ON event FOR EACH ROW EXECUTE FUNCTION event_is_final();
CREATE TRIGGER event_is_kept BEFORE TRUNCATE ON event FOR EACH STATEMENT EXECUTE FUNCTION event_is_final();
CREATE FUNCTION log_identity_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the log keeps its name'; END $$;
CREATE TRIGGER log_identity_is_final BEFORE UPDATE OR DELETE ON log_identity
    FOR EACH ROW EXECUTE FUNCTION log_identity_is_final();
CREATE TRIGGER log_identity_is_kept BEFORE TRUNCATE ON log_identity
    FOR EACH STATEMENT EXECUTE FUNCTION log_identity_is_final();
