import type { TestProject } from 'vitest/node';
import { startServer } from './postgres.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** A conninfo URL of the server that all tests share. */
    readonly serverUrl: string;
  }
}

/** Starts the server that all tests share, or takes the one of SENSORDB_TEST_URL. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const own = process.env.SENSORDB_TEST_URL;
  if (own) {
    project.provide('serverUrl', own);
    return async () => {};
  }
  const server = await startServer();
  project.provide('serverUrl', server.url);
  return server.stop;
}
