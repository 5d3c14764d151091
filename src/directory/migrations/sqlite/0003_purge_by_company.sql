-- Retention goes company by company along calls_newest_first; an index of its own cost every call that came in.
drop index calls_oldest_first;
