import type { Peer, Principal } from '../decision/principal.ts';
import { type Refusal, refuse } from './refusal.ts';
import type { CredentialKind } from './route-requirements.ts';

/**
 * Refuses a request that does not prove every kind of credential that its route asks for, or shows a user's credential
 * beyond them: two are let pass only where a route asks for both. `undefined` asks for none in particular.
 */
export function credentialFault(
  required: ReadonlySet<CredentialKind> | undefined,
  principal: Principal | undefined,
  peer: Peer | null,
): Refusal | undefined {
  const shown = principal === undefined ? NONE : principal.credentials;
  if (required === undefined) return shown.length > 1 ? tooMany(shown) : undefined;
  for (const kind of required) {
    const proven = kind === 'mtls' ? peer !== null : shown.some((credential) => credential.kind === kind);
    if (proven) continue;
    return principal === undefined
      ? refuse('no_credential', `the route asks for a credential of the kind \`${kind}\``)
      : refuse('invalid_credential', `the route asks for a credential of the kind \`${kind}\` too`);
  }
  return shown.length > 1 ? tooMany(shown, required) : undefined;
}

const NONE: Principal['credentials'] = [];

function tooMany(shown: Principal['credentials'], required?: ReadonlySet<CredentialKind>): Refusal | undefined {
  const users = shown.filter(({ kind }) => kind !== 'mtls');
  if (users.length < 2) return undefined;
  // One of each kind that the route asks for, and nothing else.
  const kinds = new Set(users.map(({ kind }) => kind));
  if (required !== undefined && kinds.size === users.length && [...kinds].every((kind) => required.has(kind))) {
    return undefined;
  }
  return refuse(
    'invalid_credential',
    'the request shows more than one credential, and the route does not ask for both',
  );
}
