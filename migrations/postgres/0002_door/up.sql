-- How people get in: sessions, tokens, invitations, outside identities; and answers that are kept for a repetition.
-- Of anything secret only its SHA-256 is here.

CREATE TABLE session (
    id uuid NOT NULL PRIMARY KEY,
    person_id uuid NOT NULL REFERENCES person (id),
    authn text NOT NULL,
    issuer text,
    client text,
    address text,
    created_at timestamptz NOT NULL,
    last_used_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz
);

CREATE TABLE refresh_token (
    hash bytea NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    session_id uuid NOT NULL REFERENCES session (id),
    issued_at timestamptz NOT NULL,
    used_at timestamptz,
    seed bytea CHECK (length(seed) = 32),
    CHECK ((used_at IS NULL) = (seed IS NULL))
);

CREATE TABLE personal_token (
    id uuid NOT NULL PRIMARY KEY,
    person_id uuid NOT NULL REFERENCES person (id),
    name text NOT NULL,
    hash bytea NOT NULL UNIQUE CHECK (length(hash) = 32),
    scopes jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    last_used_at timestamptz,
    revoked_at timestamptz
);

CREATE TABLE invitation (
    hash bytea NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    person_id uuid NOT NULL UNIQUE REFERENCES person (id),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE TABLE identity (
    issuer text NOT NULL,
    subject text NOT NULL,
    person_id uuid NOT NULL REFERENCES person (id),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (issuer, subject)
);

CREATE TABLE oidc_login (
    state_hash bytea NOT NULL PRIMARY KEY CHECK (length(state_hash) = 32),
    browser_hash bytea NOT NULL CHECK (length(browser_hash) = 32),
    issuer text NOT NULL,
    nonce text NOT NULL,
    verifier text NOT NULL,
    challenge_id uuid REFERENCES signature_challenge (id),
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);

ALTER TABLE signature_challenge ADD COLUMN authenticated_at timestamptz;

CREATE TABLE idempotency (
    person_id uuid NOT NULL REFERENCES person (id),
    route text NOT NULL,
    key text NOT NULL,
    digest bytea NOT NULL CHECK (length(digest) = 32),
    created_at timestamptz NOT NULL,
    status integer,
    location text,
    etag text,
    records jsonb,
    body text,
    PRIMARY KEY (person_id, route, key)
);

CREATE INDEX session_by_person ON session (person_id, ended_at);
CREATE INDEX session_by_end ON session (expires_at);
CREATE INDEX refresh_token_by_session ON refresh_token (session_id);
CREATE INDEX personal_token_by_person ON personal_token (person_id);
CREATE INDEX identity_by_person ON identity (person_id);
CREATE INDEX oidc_login_by_challenge ON oidc_login (challenge_id);
CREATE INDEX oidc_login_by_end ON oidc_login (expires_at);
CREATE INDEX idempotency_by_time ON idempotency (created_at);
CREATE INDEX signature_challenge_by_end ON signature_challenge (expires_at);
CREATE INDEX sign_in_by_time ON sign_in (at);
