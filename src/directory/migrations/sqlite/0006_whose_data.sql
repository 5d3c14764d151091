-- Whose data it is, and for how long it is kept: one row a company.
create table companies (
    company     text    not null primary key,
    uid         text,                              -- of the integration; null where the data is nobody's
    namespace   text,
    name        text,
    since       integer not null,
    retain_days integer,                           -- what the integration asks for; null: what the operator says
    erased_at   integer                            -- everything was erased, and nothing is taken in since
) strict, without rowid;

-- Numbers that were erased, as hashes by a key that is not in the database: nothing about them is taken in.
create table erased_numbers (
    company     text    not null,
    number_hash text    not null,
    erased_at   integer not null,
    primary key (company, number_hash)
) strict, without rowid;

-- Who read, changed, erased or exported what.
create table audit (
    company     text    not null,
    at          integer not null,
    id          text    not null,                  -- tells two entries of one microsecond apart
    purpose     text    not null,                  -- of the token,
    key_id      text    not null,                  -- and the key that signed it
    action      text    not null,
    number_hash text,
    detail      text,
    primary key (company, at, id)
) strict, without rowid;

-- The calls that name a number otherwise than by e164 are found without reading the others.
create index calls_otherwise on calls (company, lookup_key, id) where e164 is null or lookup_key <> e164;
