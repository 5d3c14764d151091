-- Since when the tokens of a company have to be issued, to be taken. Only forward: what was revoked stays so.
create table revocations (
    company    text    not null primary key,
    not_before integer not null
) strict, without rowid;
