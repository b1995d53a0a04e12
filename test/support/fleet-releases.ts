import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CatalogData } from './catalog-bundle.ts';
import { ROOT } from './tools.ts';

/** The tenants of the fleet tests; their callers are of the tier `fleet`, so that the shipped cases hold as they are. */
export const FLEET_TENANTS: readonly string[] = Array.from(
  { length: 24 },
  (_, at) => `t-${String(at).padStart(2, '0')}`,
);

export const FLEET_TIER = 'fleet';

/** What a revision does to the tenants of the fleet tests; to those of the shipped cases all of them do the same. */
export interface ReleasePlan {
  /** Each allow carries it in `x-policy`, so that an answer says which revision made it. */
  readonly name: string;
  /** Bodies above it are refused. */
  readonly maxBytes?: number;
  /** `denies`: every caller of the fleet. `fails`: its verdict on them cannot be read. */
  readonly fault?: 'denies' | 'fails';
}

export interface Release extends ReleasePlan {
  readonly file: string;
  readonly sha256: string;
  readonly version: number;
  readonly revision: string;
  /** The signature beside it. */
  readonly jws: string;
}

/** Writes the policy folder of a revision: the shipped one, with tenants of its own. */
export function writeReleasePolicies(folder: string, { name, maxBytes = 65_536, fault }: ReleasePlan): void {
  mkdirSync(folder, { recursive: true });
  cpSync(join(ROOT, 'policies'), folder, { recursive: true });
  const dataFile = join(folder, 'catalog/data.json');
  // The shipped file has this shape; `check-data` proves it.
  const catalog = JSON.parse(readFileSync(dataFile, 'utf8')) as CatalogData & FleetCatalog;
  const model = catalog.models['llama-3-8b'];
  for (const tenant of FLEET_TENANTS) {
    catalog.tenants[tenant] = { tiers: [FLEET_TIER], open_to_tiers: [] };
    model.upstreams[tenant] = `${tenant}-llama-3-8b`;
  }
  catalog['total_weight'] = Object.keys(catalog.tenants).length;
  catalog.tiers[FLEET_TIER] = { max_bytes: maxBytes, max_output_tokens: 1_024 };
  for (const limit of Object.values(catalog.limits)) {
    if (typeof limit.size === 'number') limit.size = 1_000_000;
    else limit.size.by_tier[FLEET_TIER] = 1_000_000;
  }
  if (fault !== 'denies') model.grants['infer']?.[0]?.tiers.push(FLEET_TIER);
  writeFileSync(dataFile, JSON.stringify(catalog));

  const regoFile = join(folder, 'authz/authz.rego');
  const rego = readFileSync(regoFile, 'utf8');
  // A header that is a number is no header: the verdict cannot be read.
  const header = fault === 'fails' ? `object.get({"${FLEET_TIER}": 7}, input.identity.tier, "${name}")` : `"${name}"`;
  const changed = rego.replace(ALLOWED, `${ALLOWED}, "response_headers": {"x-policy": ${header}}`);
  if (changed === rego) throw new Error('`authz.rego` is not written as this test expects it');
  writeFileSync(regoFile, changed);
}

const ALLOWED = '"reasons": [], "upstream": upstream';

interface FleetCatalog {
  readonly models: {
    readonly [name: string]: {
      readonly grants: { readonly [operation: string]: { tiers: string[] }[] };
      readonly upstreams: Record<string, string>;
    };
  } & {
    readonly 'llama-3-8b': {
      readonly grants: { readonly [operation: string]: { tiers: string[] }[] };
      readonly upstreams: Record<string, string>;
    };
  };
  readonly limits: { readonly [name: string]: { size: number | { by_tier: Record<string, number> } } };
}

/** What is on disk after `sallyport build --sign --out FILE`. */
export function readRelease(plan: ReleasePlan, file: string, version: number, told: string): Release {
  const revision = /^ {2}revision {5}(\S+)$/m.exec(told)?.[1];
  if (revision === undefined) throw new Error(`\`sallyport build\` named no revision: ${told}`);
  return {
    ...plan,
    file,
    version,
    revision,
    sha256: createHash('sha256').update(readFileSync(file)).digest('hex'),
    jws: readFileSync(`${file}.jws`, 'utf8').trim(),
  };
}
