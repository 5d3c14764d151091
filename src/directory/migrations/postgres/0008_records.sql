-- The address book: the records of Salesforce with a phone number, for companies that keep all of them.
create table records (
    company      text   collate "C" not null,
    record_id    text   collate "C" not null,
    object       text   check (object in ('Contact', 'Account', 'Lead')), -- null: the record is gone, and a fill
                                                   -- under way does not bring it back
    company_name text,
    person_name  text,
    title        text,
    owner_name   text,
    account_id   text   collate "C",               -- of a contact
    modified_at  bigint,                           -- LastModifiedDate
    numbers      text   collate "C" not null,      -- E.164, with blanks between
    generation   bigint not null,                  -- of the fill that saw it last
    changed_in   bigint not null,                  -- the fill during which a change wrote it; 0: none
    primary key (company, record_id)
);

create index records_of_an_account on records (company, account_id) where account_id is not null;

create table record_numbers (
    company   text collate "C" not null,
    number    text collate "C" not null,           -- E.164
    record_id text collate "C" not null,
    primary key (company, number, record_id)       -- "who is calling?" is one read of this index
);

-- How far the address book of a company is: one row a company that has one.
create table books (
    company      text   collate "C" not null primary key,
    generation   bigint not null,
    began_at     bigint,                           -- when the fill under way began; null: none is
    parts        text,                             -- of it, as JSON
    swept        text   collate "C",               -- the record up to which the unseen ones went; null: not there yet
    filled_at    bigint,                           -- the beginning of the last fill that ended
    confirmed_at bigint not null,                  -- when a worker last said that the book is up to date
    instance     text,                             -- where people open records
    going        bigint not null,                  -- whether it is being taken away
    records      bigint not null,
    numbers      bigint not null
);

-- What belongs to a contact goes with it, by one statement for all contacts that go. The foreign key before looked for
-- the contact of each row that was written, which took longer than to write it.
-- Its name, and the one that servers before 12 gave it.
alter table contact_records drop constraint if exists contact_records_company_number_fkey;
alter table contact_records drop constraint if exists contact_records_company_fkey;

create function contact_records_go() returns trigger language plpgsql as $$
begin
    delete from contact_records r using gone where r.company = gone.company and r.number = gone.number;
    return null;
end
$$;

create trigger contact_records_go after delete on contacts
    referencing old table as gone for each statement execute function contact_records_go();
