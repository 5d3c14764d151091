-- The records that hold the number of a contact, as JSON without what the contact itself says, and whether these are
-- all of them. Null where nobody told them: a contact of an earlier version, or one that was written by hand.
alter table contacts add column holders text;
alter table contacts add column all_holders bigint;

-- Which numbers a record holds, or the contact of an account. It goes with the contact.
create table contact_records (
    company   text collate "C" not null,
    record_id text collate "C" not null,           -- Id of a holder, or of its account
    number    text collate "C" not null,
    primary key (company, record_id, number),
    foreign key (company, number) references contacts (company, number) on delete cascade
);

create index contact_records_of_a_number on contact_records (company, number);

-- How far a company has followed its org: one row a company.
create table follows (
    company          text   collate "C" not null primary key,
    revision         bigint not null,
    watermark        bigint,                       -- changes with an older stamp are settled
    followed_at      bigint,
    mode             text   check (mode in ('All', 'NewOnly')),
    reconciled_up_to text   collate "C"            -- null where no comparison of all contacts is under way
);
