import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildPolicyBundle, type PolicyBundle } from './policy-bundle.ts';
import { ROOT } from './tools.ts';
import { dropRequiredLimits } from './unthrottled-bundle.ts';

/** `data.catalog` as the shipped bundle has it; tests change a copy. */
export interface CatalogData {
  [section: string]: unknown;
  routes: Record<string, unknown>[];
  tiers: Record<string, Record<string, unknown>>;
  models: Record<string, Record<string, unknown>>;
  tenants: Record<string, Record<string, unknown>>;
}

/** The shipped policies over a catalog of the test's own, without limits but the test's; needs the tool `opa`. */
export async function buildCatalogBundle(change: (catalog: CatalogData) => void): Promise<PolicyBundle> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-catalog-'));
  try {
    const policies = join(folder, 'policies');
    cpSync(join(ROOT, 'policies'), policies, { recursive: true });
    const file = join(policies, 'catalog/data.json');
    // The shipped file has this shape; `check-data` proves it.
    const catalog = JSON.parse(readFileSync(file, 'utf8')) as CatalogData;
    dropRequiredLimits(catalog);
    change(catalog);
    writeFileSync(file, JSON.stringify(catalog));
    return await buildPolicyBundle(policies, ['authz/decision', 'authz/limits']);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
