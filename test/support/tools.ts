import { existsSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where `npm run tools` puts the programs that tests talk to; PATH comes after. */
const PLACES = {
  opa: ['.tools/bin/opa'],
  envoy: ['.tools/envoy/bin/envoy', '.tools/bin/envoy'],
  valkey: ['.tools/bin/valkey-server'],
  ratelimit: ['.tools/bin/ratelimit'],
  versitygw: ['.tools/bin/versitygw'],
  conformance: ['.tools/bin/conformance'],
  openssl: [],
  setpriv: [],
} as const satisfies Record<string, readonly string[]>;

export type ToolName = keyof typeof PLACES;

/** What the program is called on PATH, where that is not the tool's own name. */
const PROGRAMS: Partial<Record<ToolName, string>> = { valkey: 'valkey-server' };

/** The project's root, absolute. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** The absolute path of a tool; throws, naming what to do, when this machine has none. */
export function requireTool(name: ToolName): string {
  const found = findTool(name);
  if (found === undefined) throw new Error(missingTool(name));
  return found;
}

/**
 * The absolute path of a tool, or `undefined` with a line on the console that says why the tests are skipped. Where `CI`
 * is set a missing tool is an error instead: a skip there would hide that nothing was tested.
 */
export function toolOrSkip(name: ToolName): string | undefined {
  if (isCi()) return requireTool(name);
  const found = findTool(name);
  if (found === undefined) console.warn(`skipping: ${missingTool(name)}`);
  return found;
}

/** Why and how to get it. */
export function missingTool(name: ToolName): string {
  const remedy = PLACES[name].length > 0 ? 'run `npm run tools`' : 'install it';
  return `\`${name}\` is neither in .tools/ nor on PATH: ${remedy}`;
}

export function isCi(): boolean {
  const ci = process.env['CI'];
  return ci !== undefined && ci !== '' && ci !== 'false';
}

function findTool(name: ToolName): string | undefined {
  const program = PROGRAMS[name] ?? name;
  const onPath = (process.env['PATH'] ?? '').split(delimiter).filter(isAbsolute);
  const candidates = [
    ...PLACES[name].map((place) => join(ROOT, place)),
    ...onPath.map((folder) => join(folder, program)),
  ];
  return candidates.find((candidate) => existsSync(candidate));
}
