DROP INDEX event_by_record;
