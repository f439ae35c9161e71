import type { Node, Pair } from 'yaml';
import { type SensordbError, usageError } from './errors.ts';
import { nameHint } from './suggest.ts';

/** A value in a YAML file, and where it stands, so that an error can say so. */
export interface Place {
  /** As the user named it. */
  readonly file: string;
  readonly line: number;
  /** The keys that lead to it, such as `inspect.skip[0]`; empty for the whole file. */
  readonly key: string;
  readonly value: string | number | boolean | null | readonly Place[] | ReadonlyMap<string, Place>;
}

/** Reads a YAML text; throws a usage error that names the line for one that cannot be read. */
export async function parseYaml(file: string, text: string): Promise<Place> {
  // Loaded here alone: most runs have no such file, and it would take part of every start.
  const { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } = await import('yaml');
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const lineOf = (at: number | undefined): number => lines.linePos(at ?? 0).line || 1;
  const [error] = document.errors;
  if (error !== undefined) throw badPlace({ file, line: lineOf(error.pos[0]), key: '' }, `${error.message}.`);

  const place = (node: Node | null, key: string, line: number): Place => {
    const at = { file, key, line };
    if (node === null) return { ...at, value: null };
    if (isAlias(node))
      throw badPlace(
        at,
        'An alias (*name) cannot be used here.',
        'Put a text that begins with * into quotes.',
      );
    if (isMap<Node, Node | null>(node)) return { ...at, value: new Map(node.items.map(entry(key))) };
    if (isSeq<Node>(node)) {
      const items = node.items.map((item, i) => place(item, `${key}[${i}]`, lineOf(item.range?.[0])));
      return { ...at, value: items };
    }
    return { ...at, value: isScalar(node) ? (node.value as Place['value']) : null };
  };
  const entry =
    (above: string) =>
    (pair: Pair<Node, Node | null>): readonly [string, Place] => {
      const name = isScalar(pair.key) ? String(pair.key.value) : '';
      return [name, place(pair.value, above === '' ? name : `${above}.${name}`, lineOf(pair.key.range?.[0]))];
    };
  return place(document.contents, '', 1);
}

/** Makes the usage error for a value that cannot be used: it names file, line and key. */
export function badPlace(
  { file, line, key }: Omit<Place, 'value'>,
  message: string,
  hint?: string,
): SensordbError {
  const where = `${file}:${line}`;
  return usageError('bad_config', `${where}: ${key === '' ? '' : `${key}: `}${message}`, {
    object: where,
    hint,
  });
}

/** Reads a mapping; throws for a key that is not among the known ones, with the one that was likely meant. */
export function mappingOf(place: Place, known: readonly string[]): ReadonlyMap<string, Place> {
  const { value } = place;
  if (value === null) return new Map();
  if (!(value instanceof Map)) throw badPlace(place, 'It must be a mapping of keys to values.');
  for (const [name, child] of value as ReadonlyMap<string, Place>) {
    if (!known.includes(name)) throw badPlace(child, 'There is no such key.', nameHint(name, known));
  }
  return value;
}

/** Reads a list. */
export function listOf(place: Place): readonly Place[] {
  if (place.value === null) return [];
  if (!Array.isArray(place.value)) throw badPlace(place, 'It must be a list.');
  return place.value;
}

/** Reads a text that is not empty. */
export function textOf(place: Place): string {
  const { value } = place;
  if (typeof value === 'string' && value.trim() !== '') return value;
  throw badPlace(
    place,
    'It must be a text.',
    'Put it into quotes where YAML would take it for something else.',
  );
}

/** Reads a number from 0 up. */
export function numberOf(place: Place): number {
  const { value } = place;
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return value;
  throw badPlace(place, 'It must be a number from 0 up.');
}

/** Reads a text that is one of the given; `what` says what it would have to be. */
export function oneOf<T extends string>(place: Place, known: readonly T[], what: string): T {
  const text = textOf(place);
  const found = known.find((name) => name === text);
  if (found !== undefined) return found;
  throw badPlace(place, `${JSON.stringify(text)} is not ${what}.`, nameHint(text, known));
}
