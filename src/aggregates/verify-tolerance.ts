import { type RawBuilder, sql } from 'kysely';

// In what follows f is an aggregate as it is counted now, s as it is stored.

// In numeric, which neither overflows nor loses a digit; the text of a float8 has them all.
const n = (name: string) => sql`${sql.ref(name)}::text::numeric`;

/** By multiplying: the power of a numeric is rounded to 16 digits after the point, or so (14). */
const square = (x: RawBuilder<unknown>) => sql`(${x}) * (${x})`;

/** The greatest finite float8. */
const GREATEST = sql`1.7976931348623157e308::numeric`;

/** Both are finite numbers. */
const areFinite = (column: string) => {
  const [f, s] = [sql.id('f', column), sql.id('s', column)];
  return sql`abs(${f}) < 'Infinity' and abs(${s}) < 'Infinity' and abs(f.value_sum) < 'Infinity'`;
};

/** No sum of the values, in whatever order, is larger; null where a value is infinite or NaN, for then no sum depends on it. */
const LARGEST_SUM = sql`case when greatest(abs(f.value_min), abs(f.value_max)) < 'Infinity'
  then greatest(abs(f.value_min), abs(f.value_max))::text::numeric * f.reading_count end`;

/** Count times the sum of squares: the square of what no sum of absolute values exceeds (Cauchy and Schwarz). */
const SQUARES = sql`case when f.value_sxx < 'Infinity'
  then f.reading_count * ${n('f.value_sxx')} + ${square(n('f.value_sum'))} else ${square(LARGEST_SUM)} end`;

/** Tells whether a stored sum is what the readings may come to in another order. */
export function sumWithin(tolerance: string) {
  return sql`coalesce(case when ${areFinite('value_sum')}
    then ${square(sql`${n('f.value_sum')} - ${n('s.value_sum')}`)} <= ${square(sql`${sql.lit(tolerance)}::numeric`)} * (${SQUARES})
    else ${LARGEST_SUM} > ${GREATEST} end, false)`;
}

/** The same of the centred sum of squares: the error of Youngs and Cramer's method grows with the root of it times the sum of squares. */
export function sxxWithin(tolerance: string) {
  return sql`coalesce(case when ${areFinite('value_sxx')}
    then f.reading_count * ${square(sql`${n('f.value_sxx')} - ${n('s.value_sxx')}`)}
         <= ${square(sql`${sql.lit(tolerance)}::numeric`)} * greatest(${n('f.value_sxx')}, ${n('s.value_sxx')}) * (${SQUARES})
    else ${square(sql`2 * ${LARGEST_SUM}`)} > ${GREATEST} end, false)`;
}
