import type { BundleStatus } from './watched-bundle.ts';

/** What the rollout knows of a candidate, beyond what the agent does; members as they are reported. */
export type ReportedCandidate = { readonly [member: string]: unknown };

export interface StatusDocumentParts {
  readonly labels: { readonly [name: string]: string };
  readonly instanceId: string;
  /** Of this program. */
  readonly version: string;
  readonly bundles: ReadonlyMap<string, BundleStatus>;
  /** Of each bundle that something is or was tried for. */
  readonly candidateOf: (bundle: string) => ReportedCandidate | undefined;
}

/** OPA's status document (https://www.openpolicyagent.org/docs/management-status) with a member of our own. */
export function toStatusDocument(parts: StatusDocumentParts): { readonly [member: string]: unknown } {
  const { labels, instanceId, version, bundles, candidateOf } = parts;
  const entries = [...bundles];
  return {
    labels: { ...labels, id: instanceId, version },
    bundles: Object.fromEntries(entries.map(([name, status]) => [name, toOpaStatus(name, status)])),
    sallyport: {
      instance_id: instanceId,
      bundles: Object.fromEntries(entries.map(([name, status]) => [name, toOwnStatus(status, candidateOf(name))])),
    },
  };
}

function toOpaStatus(name: string, status: BundleStatus): { readonly [member: string]: unknown } {
  const { revision, activatedAtEpochMs, downloadedAtEpochMs, requestedAtEpochMs, lastError } = status;
  return {
    name,
    ...(revision === undefined ? {} : { active_revision: revision }),
    ...time('last_successful_activation', activatedAtEpochMs),
    ...time('last_successful_download', downloadedAtEpochMs),
    ...time('last_request', requestedAtEpochMs),
    ...(lastError === undefined ? {} : { code: lastError.code, message: lastError.message }),
  };
}

function toOwnStatus(
  { sha256, version, activatedAtEpochMs, ageMs, stale, candidate }: BundleStatus,
  tried: ReportedCandidate | undefined,
): { readonly [member: string]: unknown } {
  const { sha256: digest, revision, version: offered, staged, lastError } = candidate ?? {};
  const own =
    candidate === undefined
      ? undefined
      : {
          ...(digest === undefined ? {} : { sha256: digest, revision }),
          ...(offered === undefined ? {} : { version: offered }),
          state: staged === true ? 'staged' : 'not_staged',
          ...(lastError === undefined ? {} : { reason: `${lastError.code}: ${lastError.message}` }),
        };
  return {
    ...(sha256 === undefined ? {} : { sha256 }),
    ...(version === undefined ? {} : { version }),
    ...time('activated_at', activatedAtEpochMs),
    ...(ageMs === undefined ? {} : { age_seconds: Math.round(ageMs / 1000) }),
    stale: stale !== undefined,
    ...(stale === undefined ? {} : { stale_cause: stale }),
    ...(own === undefined && tried === undefined ? {} : { candidate: { ...own, ...tried } }),
  };
}

function time(member: string, epochMs: number | undefined): { readonly [member: string]: string } {
  return epochMs === undefined ? {} : { [member]: new Date(epochMs).toISOString() };
}
