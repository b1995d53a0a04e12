import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * What this agent is called in its reports: the same after a restart, where there is a folder to keep it in, so that a
 * server does not take one agent for two. Not unique to a start of the process, as the decision log's is.
 */
export function loadAgentId(folder: string | undefined, fallback: string): string {
  if (folder === undefined) return fallback;
  const file = join(folder, FILE);
  const known = read(file);
  if (known !== undefined) return known;
  const made = randomUUID();
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(file, `${made}\n`, { mode: 0o600, flag: 'wx' });
    return made;
  } catch {
    // Another start was quicker, or nothing can be written here.
    return read(file) ?? fallback;
  }
}

const FILE = 'agent-id';
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function read(file: string): string | undefined {
  try {
    const text = readFileSync(file, 'utf8').trim();
    return UUID.test(text) ? text : undefined;
  } catch {
    return undefined;
  }
}
