import type { Check } from './check.ts';
import { detachPending } from './checks/detach-pending.ts';

/** Every check there is, in the order in which they are run and listed. */
export const CHECKS: readonly Check[] = [detachPending];
