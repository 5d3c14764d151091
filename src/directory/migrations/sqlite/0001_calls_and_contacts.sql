-- Times are microseconds since 1970 in UTC. Every key begins with the company, so that no query can cross tenants
-- and use an index.

create table contacts (
    company      text    not null,
    number       text    not null,                 -- E.164
    company_name text,
    person_name  text,
    object       text    check (object in ('Contact', 'Account', 'Lead')),
    record_id    text,
    link         text,
    source       text    not null check (source in ('Salesforce', 'Manual')),
    updated_at   integer not null,
    primary key (company, number)                  -- "who is calling?" is one read of this tree
) strict, without rowid;

create table calls (
    company        text    not null,
    id             text    not null,               -- details[].id
    call_id        text,
    call_type      text    not null,
    direction      text    not null check (direction in ('Incoming', 'Outgoing', 'Internal')),
    started_at     integer not null,
    answered_at    integer,
    ended_at       integer,
    number         text,                           -- the customer's, as the platform spelled it
    e164           text,                           -- the same, read; null where it is not a phone number
    not_looked_up  text,                           -- why it is not
    lookup_key     text,                           -- e164, else number: the calls of one number belong together
    circuit_number text,
    circuit_name   text,
    lookup         text    not null check (lookup in ('Pending', 'Done', 'None')),
    done_at        integer,
    holder         text,                           -- the worker that has taken it,
    claimed_until  integer,                        -- and until when nobody else may
    received_at    integer not null,
    primary key (company, id)
) strict, without rowid;

create index calls_newest_first on calls (company, started_at desc, id desc);
create index calls_of_a_number on calls (company, e164, started_at desc, id desc);
create index calls_to_resolve on calls (company, lookup_key, started_at) where lookup = 'Pending';
create index calls_held on calls (company, holder) where holder is not null;
