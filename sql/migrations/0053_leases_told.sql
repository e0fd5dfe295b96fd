-- When a lease whose life in Redis is over was last settled. Returned after it expired it is free only if that was said since: till then nobody
-- knows what its holder has spent.
alter table leases add column told_at timestamptz;
