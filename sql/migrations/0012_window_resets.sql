-- Limits that were reached, by when their window ends: how the end of a window finds whom to tell.
-- The times are ISO 8601 in UTC, of one length, so their text sorts as they do.
create index notifications_limits_reached on notifications ((data->>'windowEnd')) where type = 'usage.limit_reached';
