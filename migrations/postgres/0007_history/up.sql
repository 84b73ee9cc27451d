-- History across records: by whom, in which period, what was done, to what.
CREATE INDEX event_by_actor ON event (actor_id, enqueued);
CREATE INDEX event_by_time ON event (at);
CREATE INDEX event_by_action ON event (action, enqueued);
CREATE INDEX event_by_kind ON event (record_kind, enqueued);
