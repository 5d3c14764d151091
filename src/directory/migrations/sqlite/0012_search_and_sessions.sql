-- Names as a search compares them: without capitals and widths. SQLite's lower knows ASCII alone. Null where a version
-- without these columns wrote the name.
alter table contacts add column company_folded text;
alter table contacts add column person_folded text;
alter table records add column company_folded text;
alter table records add column person_folded text;

-- Calls whose number is no phone number are found as the platform spelled it.
create index calls_spelled on calls (company, number, started_at desc, id desc) where e164 is null and number is not null;

-- Sessions of the pages that somebody signed out of, until they would have ended by themselves.
create table ended_sessions (
    company  text    not null,
    session  text    not null,                      -- empty: all that began until ended_at
    ended_at integer not null,
    until    integer not null,
    primary key (company, session)
) strict, without rowid;
