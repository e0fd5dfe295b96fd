-- Where the clock of a deployment for tests was set to (WEIR_TEST_CLOCK), beside what was written at that time: a restart does not go back before it.

create table test_clock (
  only_row boolean     primary key default true check (only_row),
  stands   timestamptz not null
);
