import type { AccessRequest } from '../decision/access-request.ts';
import type { Instant } from '../decision/ports.ts';
import type { DpopConfig } from './config-oauth.ts';
import { CredentialFault } from './credential-fault.ts';
import { verifyProof } from './dpop-proof.ts';
import { createProofReplays } from './dpop-replay.ts';
import { requestTarget } from './dpop-target.ts';
import type { Confirm, Confirmation, Confirmed } from './jwt-confirmation.ts';

/**
 * Judges tokens that are bound to a key by the proof beside them (RFC 9449): exactly one `DPoP` header, good in every
 * way, and never seen before. One table of seen proofs serves all methods that share this.
 */
export function createDpop(config: DpopConfig): Confirm {
  const maxAgeMs = config.max_age_seconds * 1000;
  const replays = createProofReplays({
    maxAgeMs,
    maxEntries: config.max_entries,
    maxEntriesPerKey: Math.ceil(config.max_entries / SHARE_OF_ONE_KEY),
  });

  async function judge(jkt: string, proof: string, asked: Asked, at: Instant): Promise<Confirmed> {
    try {
      const seen = await verifyProof(proof, { ...asked, jkt, maxAgeMs }, at);
      switch (replays.admit({ jkt, ...seen }, at)) {
        case 'fresh':
          return undefined;
        case 'replayed':
          return fault('the DPoP proof was seen before');
        case 'full':
          return fault('too many DPoP proofs of this key, or of all, in a short time');
      }
    } catch (error) {
      if (error instanceof CredentialFault) return fault(error.message);
      throw error;
    }
  }

  return ({ jkt }: Confirmation, request: AccessRequest, token: string, at: Instant) => {
    if (jkt === undefined) return fault('the token is bound to no key');
    const [proof, ...others] = request.headers.all('dpop');
    if (proof === undefined) return fault('the token is bound to a key and there is no `DPoP` header');
    if (others.length > 0) return fault('more than one `DPoP` header');
    const target = requestTarget(request, config.public_url);
    if (target === undefined) return fault('the target of the request is no URI, or not known: set `dpop.public_url`');
    return judge(jkt, proof, { token, method: request.method, target }, at);
  };
}

/** One client's key may use this part of the table, so that no client alone can have others refused. */
const SHARE_OF_ONE_KEY = 10;

interface Asked {
  readonly token: string;
  readonly method: string;
  readonly target: string;
}

/** RFC 9449 §7.1; the same for every fault, so that it tells nothing about what was wrong. */
const CHALLENGE = 'DPoP error="invalid_dpop_proof"';

function fault(cause: string): Confirmed {
  return { cause, challenge: CHALLENGE };
}
