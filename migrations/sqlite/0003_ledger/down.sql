DROP TABLE log_checkpoint;
DROP TABLE log_node;
DROP TABLE log_leaf;
DROP TABLE log_generation;
