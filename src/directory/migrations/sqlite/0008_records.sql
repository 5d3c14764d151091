-- The address book: the records of Salesforce with a phone number, for companies that keep all of them.
create table records (
    company      text    not null,
    record_id    text    not null,
    object       text    check (object in ('Contact', 'Account', 'Lead')), -- null: the record is gone, and a fill
                                                   -- under way does not bring it back
    company_name text,
    person_name  text,
    title        text,
    owner_name   text,
    account_id   text,                             -- of a contact
    modified_at  integer,                          -- LastModifiedDate
    numbers      text    not null,                 -- E.164, with blanks between
    generation   integer not null,                 -- of the fill that saw it last
    changed_in   integer not null,                 -- the fill during which a change wrote it; 0: none
    primary key (company, record_id)
) strict, without rowid;

create index records_of_an_account on records (company, account_id) where account_id is not null;

create table record_numbers (
    company   text not null,
    number    text not null,                       -- E.164
    record_id text not null,
    primary key (company, number, record_id)       -- "who is calling?" is one read of this tree
) strict, without rowid;

-- How far the address book of a company is: one row a company that has one.
create table books (
    company      text    not null primary key,
    generation   integer not null,
    began_at     integer,                          -- when the fill under way began; null: none is
    parts        text,                             -- of it, or of the last one that ended, as JSON
    swept        text,                             -- the record up to which the unseen ones went; null: not there yet
    filled_at    integer,                          -- the beginning of the last fill that ended
    counted_at   integer,                          -- when the records were last counted in Salesforce, and were as many
    confirmed_at integer not null,                 -- when a worker last said that the book is up to date
    instance     text,                             -- where people open records
    going        integer not null,                 -- whether it is being taken away
    records      integer not null,
    numbers      integer not null
) strict, without rowid;
