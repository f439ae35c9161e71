/** Finds the word that was most likely meant: by the fewest letters to change, if those are few for its length; null: none. */
function suggest(word: string, known: readonly string[]): string | null {
  const nearest = known
    .map((name) => ({ name, distance: distance(word, name) }))
    .filter((one) => one.distance <= Math.max(2, Math.floor(one.name.length * 0.4)))
    .toSorted((a, b) => a.distance - b.distance)[0];
  return nearest?.name ?? null;
}

/** Says what was perhaps meant, and what there is: the hint of an error about a name. */
export function nameHint(word: string, known: readonly string[]): string {
  const meant = suggest(word, known);
  const question = meant === null ? '' : `Did you mean ${meant}? `;
  return `${question}There are: ${known.join(', ')}.`;
}

/** Letters to insert, delete or replace (Levenshtein), row by row. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (const [i, letter] of [...from].entries()) {
    const next = [i + 1];
    for (let j = 1; j <= to.length; j += 1) {
      const replace = (row[j - 1] ?? 0) + (letter === to[j - 1] ? 0 : 1);
      next.push(Math.min(replace, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
