-- The records that hold the number of a contact, as JSON without what the contact itself says, and whether these are
-- all of them. Null where nobody told them: a contact of an earlier version, or one that was written by hand.
alter table contacts add column holders text;
alter table contacts add column all_holders integer;

-- Which numbers a record holds, or the contact of an account. It goes with the contact.
create table contact_records (
    company   text not null,
    record_id text not null,                       -- Id of a holder, or of its account
    number    text not null,
    primary key (company, record_id, number),
    foreign key (company, number) references contacts (company, number) on delete cascade
) strict, without rowid;

create index contact_records_of_a_number on contact_records (company, number);

-- How far a company has followed its org: one row a company.
create table follows (
    company          text    not null primary key,
    revision         integer not null,
    watermark        integer,                      -- changes with an older stamp are settled
    followed_at      integer,
    mode             text    check (mode in ('All', 'NewOnly')),
    reconciled_up_to text                          -- null where no comparison of all contacts is under way
) strict, without rowid;
