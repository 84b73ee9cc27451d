DROP INDEX event_by_actor;
DROP INDEX event_by_time;
