import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Context } from './context.ts';
import { usageError } from './errors.ts';
import { mappingOf, type Place, parseYaml } from './yaml.ts';

/** The sections of a config file: the commands that read them check what is in them. */
const SECTIONS = ['inspect'] as const;

/** What is read where neither `--config` nor SENSORDB_CONFIG names a file. */
const DEFAULT_FILE = 'sensordb.yaml';

/**
 * Reads a section of the config file: `--config`, else SENSORDB_CONFIG, else ./sensordb.yaml if it is there. Null: there is
 * no file, or no such section in it.
 *
 * Throws usage errors (exit 2) for a file that was named and cannot be read, and for unknown sections.
 */
export async function readConfigSection(
  context: Context,
  named: string | undefined,
  section: (typeof SECTIONS)[number],
): Promise<Place | null> {
  const file = named ?? (context.env.SENSORDB_CONFIG || null);
  const place =
    file === null
      ? await readYamlFile(context, DEFAULT_FILE, { mayBeMissing: true })
      : await readYamlFile(context, file);
  return place === null ? null : (mappingOf(place, SECTIONS).get(section) ?? null);
}

/** Reads a YAML file, by a path from the working directory; null: it is not there, and may be missing. */
export async function readYamlFile(
  context: Context,
  file: string,
  { mayBeMissing = false } = {},
): Promise<Place | null> {
  const text = await readTextFile(context, file).catch((thrown) => {
    if (mayBeMissing && thrown.cause?.code === 'ENOENT') return null;
    throw thrown;
  });
  return text === null ? null : await parseYaml(file, text);
}

/** Reads a file that the user named, by a path from the working directory; throws a usage error. */
export async function readTextFile({ cwd }: Context, file: string): Promise<string> {
  try {
    return await readFile(resolve(cwd, file), 'utf8');
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw usageError('unreadable_file', `${file} cannot be read: ${REASONS[reason] ?? reason}.`, {
      object: file,
      cause,
    });
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'permission denied',
  EISDIR: 'it is a folder',
};
