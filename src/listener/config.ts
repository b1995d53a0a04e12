import { isLoopback, type ListenAddress, parseListenAddress } from './address.ts';
import { loadTlsMaterial, type TlsFiles } from './tls-material.ts';

/** What every decision door is told about its listener and its callers. */
export interface DoorListenConfig {
  readonly listen: string;
  readonly trusted_loopback: boolean;
  readonly tls?: TlsFiles;
  readonly allowed_callers?: readonly string[];
  readonly max_in_flight: number;
}

/** `properties` for a door's JSON Schema; spread them beside the door's own. */
export const doorListenSchemaProperties = {
  listen: {
    type: 'string',
    minLength: 1,
    description: 'Where the door listens: `127.0.0.1:9191`, `[::1]:9191` or `unix:/run/name.sock`.',
  },
  trusted_loopback: {
    type: 'boolean',
    default: false,
    description: 'Whether whoever reaches this loopback door is the gateway itself (the sidecar case).',
  },
  tls: {
    type: 'object',
    properties: {
      cert: {
        type: 'string',
        minLength: 1,
        description: 'PEM file of the certificate chain; reloaded when it changes.',
      },
      key: { type: 'string', minLength: 1, description: 'PEM file of the private key.' },
      client_ca: {
        type: 'string',
        minLength: 1,
        description: 'PEM file of the CAs that callers must show a certificate of.',
      },
    },
    required: ['cert', 'key'],
    additionalProperties: false,
  },
  allowed_callers: {
    type: 'array',
    items: { type: 'string', minLength: 1 },
    minItems: 1,
    uniqueItems: true,
    description: 'SPIFFE IDs or DNS names of the certificates whose bearers may ask; needs `tls.client_ca`.',
  },
  max_in_flight: {
    type: 'integer',
    minimum: 1,
    maximum: 1_000_000,
    default: 1000,
    description: 'Checks under way at one time; one more is denied at once as `overloaded`.',
  },
} as const;

/** One thing wrong, at a dotted path of the config. */
export interface ListenFault {
  readonly path: string;
  readonly message: string;
}

/**
 * What the schema cannot say of a door: an unguarded door off loopback, trust where there is none, files that are
 * missing or no pair. Reads the files; `path` is the door's own, such as `doors.ext_authz_http`.
 */
export function checkDoorListen(
  path: string,
  config: DoorListenConfig,
  { insecureUnauthenticatedDoor }: { readonly insecureUnauthenticatedDoor: boolean },
): readonly ListenFault[] {
  const faults: ListenFault[] = [];
  const fault = (key: string, message: string): void => {
    faults.push({ path: `${path}.${key}`, message });
  };
  const address = tryParse(config.listen, (message) => fault('listen', message));

  for (const [index, caller] of (config.allowed_callers ?? []).entries()) {
    if (!isCallerName(caller))
      fault(`allowed_callers[${index}]`, `\`${caller}\` is neither a SPIFFE ID nor a DNS name`);
  }
  const clientCa = config.tls?.client_ca;
  if (config.allowed_callers !== undefined && clientCa === undefined) {
    fault('allowed_callers', 'cannot be checked without `tls.client_ca`');
  }
  if (clientCa !== undefined && config.allowed_callers === undefined) {
    fault('tls.client_ca', 'needs `allowed_callers`: name who of its bearers may ask');
  }
  if (config.tls !== undefined) {
    for (const { key, message } of loadTlsMaterial(config.tls).faults) fault(`tls.${key}`, message);
  }
  if (address === undefined) return faults;

  const reachable = address.kind === 'tcp' && !isLoopback(address);
  if (address.kind === 'unix' && config.tls !== undefined) fault('tls', 'does not go with a unix socket');
  if (config.trusted_loopback && !isLoopback(address)) {
    fault('trusted_loopback', `\`${config.listen}\` is not a loopback address`);
  }
  if (reachable && clientCa === undefined && !insecureUnauthenticatedDoor) {
    fault('listen', `\`${config.listen}\` is off loopback: set \`tls.client_ca\` and \`allowed_callers\``);
  }
  return faults;
}

/** Whether others than this machine can reach the address; a text that is no address is a fault of its own. */
export function isOffLoopback(listen: string): boolean {
  const address = tryParse(listen, () => undefined);
  return address?.kind === 'tcp' && !isLoopback(address);
}

/** `spiffe://<trust domain>/<path>` (SPIFFE ID, sections 2.1 and 2.2). */
const SPIFFE_ID = /^spiffe:\/\/[a-z0-9._-]{1,255}(?:\/[A-Za-z0-9._-]{1,255}){1,32}$/;
const DNS_NAME = /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_](?:[a-z0-9_-]{0,62})){0,32}$/;

function isCallerName(text: string): boolean {
  if (text.startsWith('spiffe://')) return SPIFFE_ID.test(text) && !/\/\.{1,2}(?:\/|$)/.test(text);
  return DNS_NAME.test(text);
}

function tryParse(text: string, fault: (message: string) => void): ListenAddress | undefined {
  try {
    return parseListenAddress(text);
  } catch (error) {
    fault(error instanceof Error ? error.message : String(error));
    return undefined;
  }
}
