-- The newest events of a record, for notifications.
CREATE INDEX event_by_record ON event (record_id, enqueued);
