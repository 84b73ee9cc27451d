-- What a finding that was retracted or superseded led to, until somebody answers for it.
CREATE TABLE recall (
    id uuid NOT NULL PRIMARY KEY,
    finding_id uuid NOT NULL REFERENCES finding (id),
    cause text NOT NULL CHECK (cause IN ('retracted', 'superseded')),
    record_kind text NOT NULL CHECK (record_kind IN ('discovery', 'insight')),
    record_id uuid NOT NULL,
    raised_at timestamptz NOT NULL,
    acknowledged_at timestamptz,
    acknowledged_by uuid REFERENCES person (id),
    note text,
    CHECK ((acknowledged_at IS NULL) = (acknowledged_by IS NULL)),
    UNIQUE (finding_id, record_id)
);
CREATE INDEX recall_by_record ON recall (record_id, acknowledged_at);
CREATE INDEX recall_by_time ON recall (raised_at, id);

-- Since when a recall waits there.
ALTER TABLE insight ADD COLUMN recalled_at timestamptz;
ALTER TABLE discovery ADD COLUMN recalled_at timestamptz;
CREATE INDEX insight_recalled ON insight (owner_id) WHERE recalled_at IS NOT NULL;
CREATE INDEX discovery_recalled ON discovery (owner_id) WHERE recalled_at IS NOT NULL;

-- The discoveries that were sent back to the bench, and the insight that was cited for it.
CREATE TABLE discovery_return (
    discovery_id uuid NOT NULL REFERENCES discovery (id),
    insight_id uuid NOT NULL REFERENCES insight (id),
    PRIMARY KEY (discovery_id, insight_id)
);
CREATE INDEX discovery_return_by_insight ON discovery_return (insight_id);
INSERT INTO discovery_return (discovery_id, insight_id)
SELECT DISTINCT event.record_id, insight.id
FROM event JOIN insight ON insight.id =
    CAST(CAST(convert_from(event.payload, 'UTF8') AS jsonb) ->> 'insight_id' AS uuid)
WHERE event.record_kind = 'discovery' AND event.move IS NOT NULL AND event.payload IS NOT NULL;
CREATE INDEX discovery_by_origin ON discovery (origin_insight_id) WHERE origin_insight_id IS NOT NULL;

-- What somebody follows besides what they own: a record, a lab, or a condition. `target` spells it in one way, `pattern` is
-- what the condition is looked for with.
CREATE TABLE subscription (
    id uuid NOT NULL PRIMARY KEY,
    person_id uuid NOT NULL REFERENCES person (id),
    target text NOT NULL,
    record_kind text,
    record_id uuid,
    lab_id uuid REFERENCES organization (id),
    mesh text,
    name text,
    pattern text,
    follows_after bigint NOT NULL,
    created_at timestamptz NOT NULL,
    CHECK ((record_id IS NULL) = (record_kind IS NULL)),
    CHECK (num_nonnulls(record_id, lab_id, pattern) = 1),
    CHECK (num_nonnulls(mesh, name) = num_nonnulls(pattern)),
    UNIQUE (person_id, target)
);

-- Up to which event somebody has read, by its number: positions change when the log begins anew.
CREATE TABLE notice_mark (
    person_id uuid NOT NULL PRIMARY KEY REFERENCES person (id),
    read_until bigint NOT NULL
);
