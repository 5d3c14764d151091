-- The same tables as SQLite's. Times are microseconds since 1970 in UTC. Keys compare byte by byte (collate "C"), so
-- that a page is in the same order on every server, whatever its locale.

create table contacts (
    company      text   collate "C" not null,
    number       text   collate "C" not null,      -- E.164
    company_name text,
    person_name  text,
    object       text   check (object in ('Contact', 'Account', 'Lead')),
    record_id    text,
    link         text,
    source       text   not null check (source in ('Salesforce', 'Manual')),
    updated_at   bigint not null,
    primary key (company, number)                  -- "who is calling?" is one read of this index
);

create table calls (
    company        text   collate "C" not null,
    id             text   collate "C" not null,    -- details[].id
    call_id        text,
    call_type      text   not null,
    direction      text   not null check (direction in ('Incoming', 'Outgoing', 'Internal')),
    started_at     bigint not null,
    answered_at    bigint,
    ended_at       bigint,
    number         text   collate "C",             -- the customer's, as the platform spelled it
    e164           text   collate "C",             -- the same, read; null where it is not a phone number
    not_looked_up  text,                           -- why it is not
    lookup_key     text   collate "C",             -- e164, else number: the calls of one number belong together
    circuit_number text,
    circuit_name   text,
    lookup         text   not null check (lookup in ('Pending', 'Done', 'None')),
    done_at        bigint,
    holder         text   collate "C",             -- the worker that has taken it,
    claimed_until  bigint,                         -- and until when nobody else may
    received_at    bigint not null,
    primary key (company, id)
);

create index calls_newest_first on calls (company, started_at desc, id desc);
create index calls_of_a_number on calls (company, e164, started_at desc, id desc);
create index calls_to_resolve on calls (company, lookup_key, started_at) where lookup = 'Pending';
create index calls_held on calls (company, holder) where holder is not null;
