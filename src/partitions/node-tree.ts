/** A value in a stored expression: a word, a list, or a node such as `{VAR :varno 1 …}`. */
type Value =
  | { readonly kind: 'word'; readonly text: string }
  | { readonly kind: 'list'; readonly items: readonly Value[] }
  | { readonly kind: 'node'; readonly type: string; readonly fields: ReadonlyMap<string, readonly Value[]> };

/** The names of a table's columns, by their numbers. */
export type ColumnLayout = Readonly<Record<string, string>>;

/**
 * Spells a stored expression (pg_node_tree) so that two tables whose columns are numbered differently can be compared.
 *
 * PostgreSQL's own deparsing would lock the table that the expression belongs to, and is no fixed point: `a in ('x')` of a
 * varchar column, `a between 1 and 2` and implicit casts come back in another shape when their text is stored again (14 to
 * 18). So columns are spelled by name; binary coercions, nesting of AND in AND, places in the query text and
 * the way a cast was written are left out, most of which PostgreSQL's own equal() passes over, too.
 */
export function comparableTree(tree: string | null, layout: ColumnLayout): string {
  return tree === null ? '' : spell(parseTree(tree), layout, 0);
}

/** Spells each expression of a stored list so, as pg_index.indexprs is one. */
export function comparableItems(tree: string | null, layout: ColumnLayout): readonly string[] {
  const list = tree === null ? null : parseTree(tree);
  return list?.kind === 'list' ? list.items.map((item) => spell(item, layout, 0)) : [];
}

const TOKENS = /"(?:[^"\\]|\\.)*"|[{}()]|\[[^\]]*\]|(?:\\.|[^\s{}()])+/gs;

function parseTree(text: string): Value {
  const words = text.match(TOKENS) ?? [];
  let at = 0;
  const value = (): Value => {
    const word = words[at++] ?? '';
    if (word === '{') return node();
    if (word !== '(') return { kind: 'word', text: word };
    const items: Value[] = [];
    while (at < words.length && words[at] !== ')') items.push(value());
    at += 1;
    return { kind: 'list', items };
  };
  const node = (): Value => {
    const type = words[at++] ?? '';
    const fields = new Map<string, Value[]>();
    let field: Value[] = [];
    while (at < words.length && words[at] !== '}') {
      const word = words[at] as string;
      if (word.startsWith(':')) {
        field = [];
        fields.set(word.slice(1), field);
        at += 1;
      } else field.push(value());
    }
    at += 1;
    return { kind: 'node', type, fields };
  };
  return value();
}

/** Where something stood, how a cast was written, and the type of an array whose elements are compared anyway. */
const PASSED_OVER =
  /location$|^list_(?:start|end)$|^stmt_len$|^(?:func|relabel|coerce|convert|row_)format$|^(?:array_(?:type|coll)id|element_typeid)$/;

/** Casts that change no bit: PostgreSQL stores `(x)::text = 'a'` and `x = 'a'` with and without them. */
const COERCIONS: ReadonlySet<string> = new Set(['RELABELTYPE', 'ARRAYCOERCEEXPR']);

function spell(value: Value, layout: ColumnLayout, depth: number): string {
  switch (value.kind) {
    case 'word':
      return value.text;
    case 'list':
      return `(${value.items.map((item) => spell(item, layout, depth)).join(' ')})`;
    case 'node':
      return spellNode(value, layout, depth);
  }
}

type Node = Extract<Value, { kind: 'node' }>;

function spellNode(node: Node, layout: ColumnLayout, depth: number): string {
  const { type, fields } = node;
  const [argument] = fields.get('arg') ?? [];
  if (COERCIONS.has(type) && argument !== undefined) return spell(argument, layout, depth);
  if (type === 'VAR' && wordOf(node, 'varlevelsup') === String(depth)) {
    const number = wordOf(node, 'varattno');
    return `{column ${JSON.stringify(layout[number] ?? number)}}`;
  }
  if (type === 'BOOLEXPR') {
    const operator = wordOf(node, 'boolop');
    return `{${operator} ${operands(node, operator)
      .map((item) => spell(item, layout, depth))
      .join(' ')}}`;
  }
  const below = type === 'QUERY' ? depth + 1 : depth;
  const spelled = [...fields]
    .filter(([name]) => !PASSED_OVER.test(name))
    .map(([name, values]) => `:${name} ${values.map((one) => spell(one, layout, below)).join(' ')}`);
  return `{${type} ${spelled.join(' ')}}`;
}

function wordOf({ fields }: Node, name: string): string {
  const [first] = fields.get(name) ?? [];
  return first?.kind === 'word' ? first.text : '';
}

function operands({ fields }: Node, operator: string): readonly Value[] {
  const [list] = fields.get('args') ?? [];
  const items = list?.kind === 'list' ? list.items : [];
  if (operator === 'not') return items;
  return items.flatMap((item) =>
    item.kind === 'node' && item.type === 'BOOLEXPR' && wordOf(item, 'boolop') === operator
      ? operands(item, operator)
      : [item],
  );
}
