-- How Salesforce was last asked about a number: once a number, whatever calls it has.
alter table questions add column run text;          -- the run that asked
alter table questions add column api_calls integer; -- of the question, which other numbers share

-- What the controller last said of the link to Salesforce: one row a company.
create table links (
    company text    not null primary key,
    health  text    not null,                       -- JSON
    told_at integer not null
) strict, without rowid;
