-- Numbers that ring, or did within the last hour: Salesforce is asked about them before everything else.
create table rings (
    company       text not null,
    number        text not null,                   -- E.164
    rang_at       integer not null,                -- when it last rang
    recorded_at   integer not null,                -- when it was put on record: a company may have so many in a minute
    next_at       integer not null,                -- it is handed out from then on
    holder        text,                            -- who asks Salesforce,
    claimed_until integer,                         -- and until when nobody else does
    -- why it could not be asked when that was last tried
    not_asked     text check (not_asked in ('budget-exhausted', 'unreachable', 'withheld', 'failed')),
    answered_at   integer,
    primary key (company, number)
);

create index rings_open on rings (company, rang_at) where answered_at is null;
create index rings_of_a_minute on rings (company, recorded_at);
