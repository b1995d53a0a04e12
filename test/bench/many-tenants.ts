/** Of the large data that are swapped. */
export const DATA_BYTES = 12_000_000;

/** The catalog of a provider with so many tenants that its JSON has so many bytes. */
export function withManyTenants(text: string, wantedBytes: number): string {
  // The checked-in data has this shape; `check-data` proves it.
  const data = JSON.parse(text) as Catalog;
  const { tenants, models } = data.catalog;
  const perTenant = (own: string): number =>
    JSON.stringify(tenants[own]).length +
    Object.keys(models).reduce((sum, model) => sum + 2 * own.length + model.length + 7, own.length + 4);
  for (let number = 0, bytes = 0; bytes < wantedBytes; number += 1) {
    const own = `tenant-${String(number).padStart(6, '0')}`;
    tenants[own] = { tiers: ['free', 'premium', 'internal'], open_to_tiers: [] };
    for (const [model, { upstreams }] of Object.entries(models)) upstreams[own] = `${own}-${model}`;
    bytes += perTenant(own);
  }
  data.catalog.total_weight = Object.keys(tenants).length;
  return JSON.stringify(data);
}

interface Catalog {
  readonly catalog: {
    total_weight: number;
    readonly tenants: Record<string, object>;
    readonly models: Readonly<Record<string, { readonly upstreams: Record<string, string> }>>;
  };
}
