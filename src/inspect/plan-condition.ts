/** A column of the relation that a node scans. */
interface Column {
  readonly alias: string;
  readonly name: string;
  /** How many the query itself has in the plan. */
  readonly parameters: number;
}

const TOKEN = /'(?:[^']|'')*'|"(?:[^"]|"")*"|\$\d+|[\p{L}_][\p{L}\p{N}_$]*|[\d.]+|::|[<>=!~@#%^&|*/+-]+|\S/gu;
const COMPARED: readonly string[] = ['=', '<', '<=', '>', '>='];

/**
 * Tells whether a condition of a scan, as EXPLAIN prints it, demands that a column compares with a value that another part of the plan
 * finds: an InitPlan, printed as `$0` or `(InitPlan 1)` (17 on), or a row of the outer side of a nested loop. An Append prunes by
 * these, where the column is the partition key (14 to 18).
 *
 * A parameter of the query itself is printed as `$1`, too, and does not count: what an Append can prune by it, it has pruned before
 * EXPLAIN prints. Nor does anything together with a function that gives another value for each row.
 */
export function comparesWithFound(condition: string, column: Column): boolean {
  return conjuncts(condition.match(TOKEN) ?? []).some((tokens) => isComparison(tokens, column));
}

/** Takes a condition apart at its outermost ANDs. */
function conjuncts(all: readonly string[]): readonly (readonly string[])[] {
  const tokens = unwrapped(all);
  const parts: string[][] = [[]];
  let depth = 0;
  for (const token of tokens) {
    if (token === '(') depth += 1;
    if (token === ')') depth -= 1;
    if (depth === 0 && token === 'AND') parts.push([]);
    else parts.at(-1)?.push(token);
  }
  return parts.length === 1 ? [tokens] : parts.flatMap(conjuncts);
}

/** Without the parentheses around all of it. */
function unwrapped(tokens: readonly string[]): readonly string[] {
  let depth = 0;
  for (const [at, token] of tokens.entries()) {
    if (token === '(') depth += 1;
    if (token === ')') depth -= 1;
    if (depth === 0) {
      const isWhole = token === ')' && at === tokens.length - 1 && at > 0;
      return isWhole ? unwrapped(tokens.slice(1, -1)) : tokens;
    }
  }
  return tokens;
}

function isComparison(tokens: readonly string[], column: Column): boolean {
  let depth = 0;
  const outer = tokens.map((token) => {
    if (token === ')') depth -= 1;
    const here = depth === 0 ? token : '';
    if (token === '(') depth += 1;
    return here;
  });
  const at = outer.findIndex((token) => COMPARED.includes(token));
  if (at < 0 || outer.some((token) => OTHERWISE.has(token))) return false;
  const sides = [tokens.slice(0, at), tokens.slice(at + 1)] as const;
  return [sides, sides.toReversed()].some(
    ([own, other]) =>
      own !== undefined && other !== undefined && isColumn(own, column) && isFound(other, column),
  );
}

/** With these it is more than one comparison, or one with each of a list, by which no Append prunes while it runs. */
const OTHERWISE = new Set(['OR', 'NOT', 'IS', 'CASE', 'ANY', 'ALL', 'IN']);

const isName = (token: string | undefined, name: string): boolean =>
  token === name || token === `"${name.replaceAll('"', '""')}"`;

function isColumn(tokens: readonly string[], { alias, name }: Column): boolean {
  return tokens.length === 3 && isName(tokens[0], alias) && tokens[1] === '.' && isName(tokens[2], name);
}

const NAME = /^["\p{L}_]/u;

/** Those of PostgreSQL that give a time, or may make one another. */
const VOLATILE = new Set(['clock_timestamp', 'timeofday', 'random', 'random_normal', 'gen_random_uuid']);

function isFound(tokens: readonly string[], { alias, parameters }: Column): boolean {
  if (tokens.some((token, at) => VOLATILE.has(token) && tokens[at + 1] === '(')) return false;
  const qualified = tokens.flatMap((token, at) =>
    token === '.' && NAME.test(tokens[at - 1] ?? '') && tokens[at - 2] !== '::' && tokens[at + 2] !== '('
      ? [tokens[at - 1] as string]
      : [],
  );
  if (qualified.some((one) => isName(one, alias))) return false;
  const isInitPlan = (token: string): boolean =>
    token === 'InitPlan' || (/^\$\d+$/.test(token) && !isWithin(Number(token.slice(1)), parameters));
  return qualified.length > 0 || tokens.some(isInitPlan);
}

/** InitPlans are counted from 0, parameters of a query from 1. */
function isWithin(number: number, parameters: number): boolean {
  return number >= 1 && number <= parameters;
}
