-- Of the calls about whose number a run asked last, when they were handed out to it. Null where it had no claim.
alter table questions add column claimed_at integer;
