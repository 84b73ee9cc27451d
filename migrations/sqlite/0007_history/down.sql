DROP INDEX event_by_actor;
DROP INDEX event_by_time;
DROP INDEX event_by_action;
DROP INDEX event_by_kind;
