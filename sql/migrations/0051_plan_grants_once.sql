-- The statement within is planned once a connection, not at each call: planning took 0.45 of its 1.95 ms, and each account that is loaded waits for it.
-- Its arrays have a few elements, so the plan for any number of them is the plan for these.
alter function weir_grant(text, bigint, bigint, text[], text[], timestamptz[], timestamptz[], bigint[], bigint[])
  set plan_cache_mode = force_generic_plan;
