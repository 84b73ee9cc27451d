-- A person is one subject of an issuer. Of two that came in at the same moment the first stays.
DELETE FROM identity WHERE EXISTS (
    SELECT 1 FROM identity AS earlier
    WHERE earlier.issuer = identity.issuer AND earlier.person_id = identity.person_id
        AND (earlier.created_at < identity.created_at
            OR earlier.created_at = identity.created_at AND earlier.subject < identity.subject)
);
CREATE UNIQUE INDEX identity_once ON identity (person_id, issuer);
DROP INDEX identity_by_person;

-- What a session forgets of its used tokens is found without reading the others.
CREATE INDEX refresh_token_by_use ON refresh_token (session_id, used_at);
DROP INDEX refresh_token_by_session;
