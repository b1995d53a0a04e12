/** Writes bundles/capabilities.json: what OPA offers, without what reaches out of the policy. `node tools/capabilities.ts` */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { requireOpa } from '../src/bundle/opa-tool.ts';

/** They open connections, read the process or its keys, or parse Rego at run time. */
const WITHHELD = new Set([
  'http.send',
  'net.lookup_ip_addr',
  'opa.runtime',
  'providers.aws.sign_req',
  'rego.parse_module',
]);

interface Capabilities {
  readonly builtins: readonly { readonly name: string }[];
}

const opa = await requireOpa({ env: process.env, report: (line) => console.info(line) });
// The shape is OPA's own, of the version that `requireOpa` demands.
const all = JSON.parse(execFileSync(opa, ['capabilities', '--current'], { encoding: 'utf8' })) as Capabilities;
const missing = [...WITHHELD].filter((name) => !all.builtins.some((builtin) => builtin.name === name));
if (missing.length > 0) throw new Error(`opa has no builtin ${missing.join(', ')}: is the list out of date?`);

const kept = { ...all, builtins: all.builtins.filter(({ name }) => !WITHHELD.has(name)) };
const file = fileURLToPath(new URL('../bundles/capabilities.json', import.meta.url));
writeFileSync(file, JSON.stringify(kept));
execFileSync(fileURLToPath(new URL('../node_modules/.bin/biome', import.meta.url)), ['format', '--write', file]);
console.info(`${file}: ${kept.builtins.length} builtins, ${WITHHELD.size} withheld`);
