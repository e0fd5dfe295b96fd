-- Accounts by when they were made: their list is read newest first.
create index accounts_newest on accounts (created_at desc, account);
