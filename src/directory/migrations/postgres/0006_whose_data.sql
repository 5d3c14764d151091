-- Whose data it is, and for how long it is kept: one row a company.
create table companies (
    company     text   collate "C" not null primary key,
    uid         text,                              -- of the integration; null where the data is nobody's
    namespace   text,
    name        text,
    since       bigint not null,
    retain_days bigint,                            -- what the integration asks for; null: what the operator says
    erased_at   bigint                             -- everything was erased, and nothing is taken in since
);

-- Numbers that were erased, as hashes by a key that is not in the database: nothing about them is taken in.
create table erased_numbers (
    company     text   collate "C" not null,
    number_hash text   collate "C" not null,
    erased_at   bigint not null,
    primary key (company, number_hash)
);

-- Who read, changed, erased or exported what.
create table audit (
    company     text   collate "C" not null,
    at          bigint not null,
    id          text   collate "C" not null,       -- tells two entries of one microsecond apart
    purpose     text   not null,                   -- of the token,
    key_id      text   not null,                   -- and the key that signed it
    action      text   not null,
    number_hash text   collate "C",
    detail      text,
    primary key (company, at, id)
);

-- The calls that name a number otherwise than by e164 are found without reading the others.
create index calls_otherwise on calls (company, lookup_key, id) where e164 is null or lookup_key <> e164;
