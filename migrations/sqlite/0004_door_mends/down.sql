CREATE INDEX refresh_token_by_session ON refresh_token (session_id);
DROP INDEX refresh_token_by_use;
CREATE INDEX identity_by_person ON identity (person_id);
DROP INDEX identity_once;
