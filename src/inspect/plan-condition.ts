/** A column of the relation that a node scans. */
interface Column {
  readonly alias: string;
  readonly name: string;
}

const TOKEN = /'(?:[^']|'')*'|"(?:[^"]|"")*"|\$\d+|[\p{L}_][\p{L}\p{N}_$]*|[\d.]+|::|[<>=!~@#%^&|*/+-]+|\S/gu;
const COMPARED: readonly string[] = ['=', '<', '<=', '>', '>='];

/**
 * Tells whether a condition of a scan, as EXPLAIN prints it, demands that a column compares with a value that another part of the plan
 * finds: an InitPlan, printed as `$0` or `(InitPlan 1)` (17 on), or a row of the outer side of a nested loop. An Append prunes by
 * these, where the column is the partition key (14 to 18).
 *
 * A parameter of the query itself is printed as `$1`, too: an Append has pruned by it before EXPLAIN prints.
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

function isFound(tokens: readonly string[], { alias }: Column): boolean {
  const qualified = tokens.flatMap((token, at) =>
    token === '.' && NAME.test(tokens[at - 1] ?? '') && tokens[at + 2] !== '('
      ? [tokens[at - 1] as string]
      : [],
  );
  if (qualified.some((one) => isName(one, alias))) return false;
  return qualified.length > 0 || tokens.some((token) => token === 'InitPlan' || /^\$\d+$/.test(token));
}
