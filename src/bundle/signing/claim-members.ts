import { BundleError } from '../errors.ts';

type Members = { readonly [name: string]: unknown };

/** Reads the members of a signed payload one by one; what is of another type, or out of bounds, is refused. */
export interface ClaimReader {
  text(name: string, pattern: RegExp): string;
  optionalText(name: string, pattern: RegExp): string | undefined;
  whole(name: string, least?: number, greatest?: number): number;
  optionalWhole(name: string, least?: number, greatest?: number): number | undefined;
  flag(name: string): boolean;
}

/** Refuses a payload with a member that is not named. */
export function readClaims(payload: Members, known: ReadonlySet<string>): ClaimReader {
  for (const name of Object.keys(payload)) {
    if (!known.has(name)) throw refused(`has the unknown claim \`${name.slice(0, 64)}\``);
  }
  const optionalText = (name: string, pattern: RegExp): string | undefined => {
    const value = memberOf(payload, name);
    if (value === undefined) return undefined;
    if (typeof value !== 'string' || !pattern.test(value)) throw refused(`has a claim \`${name}\` of the wrong form`);
    return value;
  };
  const optionalWhole = (name: string, least = 0, greatest = Number.MAX_SAFE_INTEGER): number | undefined => {
    const value = memberOf(payload, name);
    if (value === undefined) return undefined;
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least || value > greatest) {
      throw refused(`has a claim \`${name}\` that is no whole number from ${least} to ${greatest}`);
    }
    return value;
  };
  return {
    optionalText,
    optionalWhole,
    text: (name, pattern) => optionalText(name, pattern) ?? lacking(name),
    whole: (name, least, greatest) => optionalWhole(name, least, greatest) ?? lacking(name),
    flag: (name) => {
      const value = memberOf(payload, name);
      if (value !== undefined && typeof value !== 'boolean')
        throw refused(`has a claim \`${name}\` that is no boolean`);
      return value ?? false;
    },
  };
}

/** An own member; what `Object.prototype` has is none. */
export function memberOf(payload: Members, name: string): unknown {
  return Object.hasOwn(payload, name) ? payload[name] : undefined;
}

/** The forms of claims that several documents have. */
export const FORM = {
  sha256: /^[0-9a-f]{64}$/,
  bundle: /^[a-z0-9][a-z0-9_-]{0,63}$/,
  scope: /^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$/,
  revision: /^[\x20-\x21\x23-\x5b\x5d-\x7e]{1,256}$/,
} as const;

/** A refusal of what was signed; the message goes on where it stands. */
export function refused(fault: string): BundleError {
  return new BundleError('bundle_untrusted', `what was signed ${fault}`);
}

function lacking(name: string): never {
  throw refused(`lacks the claim \`${name}\``);
}
