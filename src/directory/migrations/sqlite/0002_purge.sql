-- Retention finds the oldest calls of all companies without reading the others.
create index calls_oldest_first on calls (started_at);
