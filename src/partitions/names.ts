import { nodeCrypto } from '../db/builtins/lazy.ts';

/** PostgreSQL's limit for a name, in bytes of UTF-8: NAMEDATALEN - 1. */
export const NAME_BYTES = 63;

const HASH_DIGITS = 8;

/**
 * Joins a base name and a suffix into a name that PostgreSQL will not truncate.
 *
 * When they do not fit, the base is cut at a character and followed by the first 32 bits of its SHA-256, so that two
 * long names that begin alike never end up as one: left to itself PostgreSQL cuts the end off, with a NOTICE alone, and
 * `create table if not exists` of `…_2026_02` then finds `…_2026_0` and is content.
 */
export function fitName(base: string, suffix: string): string {
  const whole = base + suffix;
  if (Buffer.byteLength(whole) <= NAME_BYTES) return whole;
  const tail = `_${nodeCrypto().createHash('sha256').update(base).digest('hex').slice(0, HASH_DIGITS)}${suffix}`;
  return cutToBytes(base, NAME_BYTES - Buffer.byteLength(tail)) + tail;
}

/** Cuts a text to at most so many bytes of UTF-8, at a character. */
export function cutToBytes(text: string, bytes: number): string {
  let kept = '';
  let size = 0;
  for (const character of text) {
    size += Buffer.byteLength(character);
    if (size > bytes) break;
    kept += character;
  }
  return kept;
}
