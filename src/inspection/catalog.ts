import { type BodySchema, compileBodySchemas } from './body-schemas.ts';
import { CatalogError, type CatalogFault } from './catalog-error.ts';
import { compileRoutes, type FindRoute } from './route-table.ts';

/** What inspection needs of `data.catalog`. */
export interface CompiledCatalog {
  readonly findRoute: FindRoute;
  readonly schemas: ReadonlyMap<string, BodySchema>;
}

/** Compiles the routes and the schemas of a catalogue; throws one {@link CatalogError} with the faults of both. */
export function compileCatalog(catalog: unknown): CompiledCatalog {
  const faults: CatalogFault[] = [];
  const findRoute = collect(() => compileRoutes(catalog), faults);
  const schemas = collect(() => compileBodySchemas(catalog), faults);
  if (findRoute === undefined || schemas === undefined) throw new CatalogError(faults);
  return { findRoute, schemas };
}

function collect<T>(compile: () => T, faults: CatalogFault[]): T | undefined {
  try {
    return compile();
  } catch (error) {
    if (!(error instanceof CatalogError)) throw error;
    faults.push(...error.faults);
    return undefined;
  }
}
