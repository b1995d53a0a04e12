import type { KeyEntry } from '../identity/api-key-record.ts';

/** What a key is worth at a moment. */
export type KeyState = 'active' | 'revoked' | 'expired' | 'not yet valid';

type Times = Pick<KeyEntry, 'revoked' | 'expires' | 'not_before'>;

/** The state of an entry that was validated. */
export function keyState(entry: Times, nowMs: number): KeyState {
  const { revoked, expires, not_before: notBefore } = entry;
  if (revoked === true) return 'revoked';
  if (expires !== undefined && Date.parse(expires) <= nowMs) return 'expired';
  if (notBefore !== undefined && Date.parse(notBefore) > nowMs) return 'not yet valid';
  return 'active';
}

/** The entries without their digests, for people. */
export function toKeyTable(entries: readonly KeyEntry[], nowMs: number): string {
  const rows = entries.map((entry) => [
    entry.id,
    keyState(entry, nowMs),
    entry.tenant,
    entry.tier,
    entry.roles.join(',') || '-',
    entry.models?.join(',') ?? 'any',
    entry.expires ?? 'never',
    entry.addresses?.join(',') ?? 'any',
    entry.name ?? '-',
  ]);
  const table = [['ID', 'STATE', 'TENANT', 'TIER', 'ROLES', 'MODELS', 'EXPIRES', 'ADDRESSES', 'NAME'], ...rows];
  const widths = (table[0] ?? []).map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  const lines = table.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return `${lines.join('\n')}\n`;
}

/** The same for programs. */
export function toKeyJson(entries: readonly KeyEntry[], nowMs: number): string {
  const shown = entries.map(({ sha256: _digest, ...entry }) => ({ ...entry, state: keyState(entry, nowMs) }));
  return `${JSON.stringify(shown, undefined, 2)}\n`;
}
