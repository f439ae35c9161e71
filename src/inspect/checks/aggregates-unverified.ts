import { describeAge } from '../../aggregates/age.ts';
import { type AggregatedTable, lacksOwnTables, readAggregated } from '../aggregates.ts';
import type { Check, Found } from '../check.ts';
import { commandFix, shellWord } from '../fix.ts';
import type { Scene } from '../scene.ts';

const DAY_MS = 86_400_000;

/** Finds aggregates that nobody has compared with the readings for long, or that were found to be wrong. */
export const aggregatesUnverified: Check = {
  name: 'aggregates_unverified',
  area: 'aggregates',
  finds:
    'hourly aggregates that were found to be wrong, or that nobody has compared with the readings for long',
  explanation: `"sensordb aggregates verify" counts hours from their readings again, all of them or a sample, and compares them with what is stored. Its
line in the run log says when it ran, and whether all was right. It is the one proof that nobody wrote into the aggregates, disabled
triggers for a while, or restored half of a backup.

What was found to be wrong is counted again for those very hours: a range that holds hours of leaves that have gone must not be.

A role that may not write the run log, and a standby, leave no line: what they verified is not seen here.`,
  thresholds: {
    days: {
      value: 35,
      unit: 'days',
      source: 'A verification that cron runs once a month has missed its turn',
    },
  },
  opens: false,
  lacks: lacksOwnTables,
  look: async (scene) => {
    const { tables, unreadable } = await readAggregated(scene);
    const young = tables.flatMap((table) => ripeAt(scene, table) ?? []);
    const found = [...unreadable, ...tables.flatMap((table) => judge(scene, table))];
    const [first] = young.toSorted((a, b) => a.getTime() - b.getTime());
    return first === undefined ? { found } : { found, ripeAt: first };
  },
};

const dateOf = (text: string): Date => new Date(`${text.slice(0, 10)}T${text.slice(11, 19)}Z`);

/** When aggregates that were never verified are old enough for that to be a fault; null: they are, or were verified. */
function ripeAt({ now, threshold }: Scene, { runs }: AggregatedTable): Date | null {
  if (runs.lastVerified !== null) return null;
  const ripe = new Date(dateOf(runs.setUpAt).getTime() + threshold('days') * DAY_MS);
  return ripe > now ? ripe : null;
}

function judge(scene: Scene, table: AggregatedTable): readonly Found[] {
  const { qualified, runs } = table;
  const { lastVerified } = runs;
  const word = shellWord(qualified);
  const verify = commandFix('aggregate', `sensordb aggregates verify --table ${word}`);
  const evidence = {
    lastVerified: lastVerified === null ? null : dateOf(lastVerified).toISOString().replace('.000', ''),
    wasRight: runs.lastVerifiedRight,
  };
  if (lastVerified !== null && runs.lastVerifiedRight === false) {
    const recounts = runs.wrong.map(({ from, to }) =>
      commandFix(
        'aggregate',
        `sensordb aggregates backfill --recount --from ${from} --to ${to} --table ${word}`,
      ),
    );
    const message = `The last verification of the aggregates of ${qualified} found some that are not what the readings say.`;
    return [{ severity: 'critical', object: qualified, message, evidence, fixes: [...recounts, verify] }];
  }
  if (lastVerified === null) {
    if (ripeAt(scene, table) !== null) return [];
    const message = `Nobody has ever compared the aggregates of ${qualified} with the readings.`;
    return [{ severity: 'warning', object: qualified, message, evidence, fixes: [verify] }];
  }
  const days = (scene.now.getTime() - dateOf(lastVerified).getTime()) / DAY_MS;
  if (days < scene.threshold('days')) return [];
  const message = `Nobody has compared the aggregates of ${qualified} with the readings for ${describeAge(days * 86_400)}.`;
  return [{ severity: 'warning', object: qualified, message, evidence, fixes: [verify] }];
}
