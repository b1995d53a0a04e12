import { isLoopback, parseListenAddress } from '../../listener/address.ts';
import { doorListenSchemaProperties, type ListenFault } from '../../listener/config.ts';
import { loadTlsMaterial, type TlsFiles } from '../../listener/tls-material.ts';

/** The listener of the token exchange. */
export interface TokenExchangeListenConfig {
  readonly listen: string;
  readonly tls?: TlsFiles;
}

/** For the JSON Schema of whoever names the listener in config. */
export const tokenExchangeListenSchemaProperties = {
  listen: {
    type: 'string',
    minLength: 1,
    description: 'Where it listens: `127.0.0.1:8383`, `[::1]:8383` or `unix:/run/name.sock`.',
  },
  tls: doorListenSchemaProperties.tls,
} as const;

/** What the schema cannot say: secrets do not travel in the clear. `path` is that of the listener's config. */
export function checkTokenExchangeListen(path: string, config: TokenExchangeListenConfig): readonly ListenFault[] {
  const faults: ListenFault[] = [];
  if (config.tls !== undefined) {
    for (const { key, message } of loadTlsMaterial(config.tls).faults) {
      faults.push({ path: `${path}.tls.${key}`, message });
    }
  }
  try {
    const address = parseListenAddress(config.listen);
    if (address.kind === 'tcp' && !isLoopback(address) && config.tls === undefined) {
      const message = `\`${config.listen}\` is off loopback and API keys must not travel in the clear: set \`tls\``;
      faults.push({ path: `${path}.listen`, message });
    }
  } catch (error) {
    faults.push({ path: `${path}.listen`, message: error instanceof Error ? error.message : String(error) });
  }
  return faults;
}
