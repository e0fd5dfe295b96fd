-- Who has reached a threshold lately, over all accounts: where an operator begins to look for accounts near a limit.
create index notifications_reached on notifications (created_at desc, account)
  where type in ('usage.threshold_reached', 'usage.limit_reached');
