-- Drops the views of hourly, daily and monthly figures, and the indexes by which hours and days are found.
-- Strongest lock: ACCESS EXCLUSIVE on sensors_sensoraggregate, for the indexes. Runs in a transaction.
drop view :"schema".sensors_sensoraggregate_monthly;
drop view :"schema".sensors_sensoraggregate_daily;
drop view :"schema".sensors_sensoraggregate_hourly;
drop function :"schema".sensors_sketch_percentile(integer[], double precision, double precision, double precision);
drop aggregate :"schema".sensors_sketch_merge(integer[]);
drop function :"schema".sensors_sketch_added(integer[], integer[]);
drop function :"schema".sensors_sketch_of(double precision[]);
drop function :"schema".sensors_moments_unscaled(double precision[]);
drop function :"schema".sensors_moments_scaled(double precision[]);
drop aggregate :"schema".sensors_moments_merge(double precision[]);
drop index :"schema".sensors_sensoraggregate_day_brin_idx;
drop index :"schema".sensors_sensoraggregate_hour_idx;
drop function :"schema".sensors_month_of(timestamptz);
