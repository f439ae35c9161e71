-- Drops the function that gives the hourly aggregates as they are at this very moment.
-- Strongest lock: none on a table that exists already. Runs in a transaction.
drop function :"schema".sensors_sensoraggregate_live(timestamptz, timestamptz, bigint, regclass);
drop function :"schema".sensors_sensoraggregate_unsettled(regclass, timestamptz, timestamptz, bigint);
drop function :"schema".sensors_moments_or_nan(double precision[]);
drop aggregate :"schema".sensors_moments(double precision);
