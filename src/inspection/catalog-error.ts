/** One thing wrong with the route data: where (`catalog.routes[2].methods`) and what. */
export interface CatalogFault {
  readonly path: string;
  readonly message: string;
}

/** The bundle's route data cannot be served; names every fault, so that one build mends them all. */
export class CatalogError extends Error {
  override readonly name = 'CatalogError';
  readonly code = 'invalid_catalog';
  readonly faults: readonly CatalogFault[];

  constructor(faults: readonly CatalogFault[]) {
    super(faults.map(({ path, message }) => `\`${path}\` ${message}`).join('; '));
    this.faults = faults;
  }
}
