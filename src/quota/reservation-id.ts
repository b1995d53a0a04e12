import { hash } from 'node:crypto';

/**
 * `TIME-RANDOM-TENANT` in hexadecimal: 48 bits of milliseconds since the epoch, 80 random bits, 64 bits of a digest of
 * the tenant. Ordered by time; where a store is spread over machines the last part says which one knows it.
 */
export function createReservationId(epochMs: number, random: (bytes: number) => Buffer, tenant: string): string {
  return `${epochMs.toString(16).padStart(12, '0')}-${random(10).toString('hex')}-${tenantTag(tenant)}`;
}

/** Says nothing of the tenant, and is the same everywhere. */
export function tenantTag(tenant: string): string {
  return hash('sha256', tenant).slice(0, 16);
}

export interface ReservationIdParts {
  readonly epochMs: number;
  readonly tag: string;
}

/** `undefined` for a text that is no reservation id. */
export function parseReservationId(text: string): ReservationIdParts | undefined {
  const match = PATTERN.exec(text);
  return match === null ? undefined : { epochMs: Number.parseInt(match[1] ?? '', 16), tag: match[2] ?? '' };
}

const PATTERN = /^([0-9a-f]{12})-[0-9a-f]{20}-([0-9a-f]{16})$/;
