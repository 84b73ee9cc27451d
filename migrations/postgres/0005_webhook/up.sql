-- Who is told of events elsewhere.
CREATE TABLE webhook (
    id uuid NOT NULL PRIMARY KEY,
    number bigint NOT NULL UNIQUE CHECK (number > 0),
    version bigint NOT NULL CHECK (version > 0),
    name text COLLATE "C" NOT NULL,
    url text NOT NULL,
    kinds jsonb NOT NULL,
    actions jsonb NOT NULL,
    conditions jsonb NOT NULL,
    organization_ids jsonb NOT NULL,
    state text NOT NULL,
    owner_id uuid NOT NULL REFERENCES person (id),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    head bytea NOT NULL
);
CREATE INDEX webhook_by_owner ON webhook (owner_id);
CREATE INDEX webhook_by_update ON webhook (updated_at, id);

-- What deliveries are signed with; in no payload and no list.
CREATE TABLE webhook_secret (
    id uuid NOT NULL PRIMARY KEY,
    webhook_id uuid NOT NULL REFERENCES webhook (id),
    secret bytea NOT NULL CHECK (octet_length(secret) = 32),
    created_at timestamptz NOT NULL,
    expires_at timestamptz
);
CREATE INDEX webhook_secret_by_webhook ON webhook_secret (webhook_id);

-- Up to where in the log a webhook has come, and which node is at it until when, in seconds by the database's clock.
CREATE TABLE webhook_cursor (
    webhook_id uuid NOT NULL PRIMARY KEY REFERENCES webhook (id),
    generation bigint NOT NULL,
    position bigint NOT NULL CHECK (position >= 0),
    claimed_by uuid,
    claimed_until bigint NOT NULL,
    fence bigint NOT NULL
);

-- An event on its way to a webhook. `round` rises when it is asked for again.
CREATE TABLE webhook_delivery (
    id uuid NOT NULL PRIMARY KEY,
    webhook_id uuid NOT NULL REFERENCES webhook (id),
    enqueued bigint NOT NULL REFERENCES event (enqueued),
    record_id uuid NOT NULL,
    state text NOT NULL,
    round integer NOT NULL,
    attempts integer NOT NULL,
    created_at timestamptz NOT NULL,
    next_at timestamptz NOT NULL,
    first_tried_at timestamptz,
    settled_at timestamptz,
    last_status integer,
    last_error text,
    UNIQUE (webhook_id, enqueued)
);
CREATE INDEX webhook_delivery_pending ON webhook_delivery (webhook_id, enqueued) WHERE state = 'pending';
CREATE INDEX webhook_delivery_due ON webhook_delivery (next_at) WHERE state = 'pending';
CREATE INDEX webhook_delivery_by_state ON webhook_delivery (state, settled_at);

CREATE SEQUENCE webhook_number;
