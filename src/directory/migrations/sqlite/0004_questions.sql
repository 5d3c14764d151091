-- What Salesforce was last asked about a number. It outlives the calls' own state: a call that is done is not pending
-- again, but its number is asked again.
create table questions (
    company     text    not null,
    number      text    not null,                  -- E.164
    asked_at    integer not null,
    misses      integer not null,                  -- how often in a row Salesforce did not know it; 0 where it does
    settings    text    not null,                  -- fingerprint of what decided whether a record matches
    due_at      integer,                           -- when a miss is asked again; null where Salesforce knows the number
    was_company text,                              -- the names that it had before Salesforce no longer knew it,
    was_person  text,
    gone_at     integer,                           -- and since when
    primary key (company, number)
) strict, without rowid;

create index questions_due on questions (company, due_at) where due_at is not null;

-- What a company's runs have to ask again: one row a company.
create table retrievals (
    company      text    not null primary key,
    settings     text    not null,                 -- the fingerprint that the misses were last compared with
    round_at     integer not null,                 -- when misses were last collected
    request      text,                             -- the re-retrieval that was last begun,
    requested_at integer not null,
    since        integer not null,                 -- the start of the oldest call that it is about,
    upto         integer not null,                 -- the start of the newest whose number it has still to ask,
    named        integer not null,                 -- whether it is about numbers with a contact, too,
    open         integer not null                  -- and whether numbers are left
) strict, without rowid;

alter table contacts add column title text;
alter table contacts add column owner_name text;
alter table contacts add column alternatives text; -- JSON
