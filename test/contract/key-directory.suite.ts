import { expect, onTestFinished, test } from 'vitest';
import type { KeyDirectory } from '../../src/identity/api-key-directory.ts';
import type { KeyEntry } from '../../src/identity/api-key-record.ts';
import { verifyApiKey } from '../../src/identity/api-key-verify.ts';
import { eventually } from '../support/programs.ts';
import { systemClock } from '../support/system-ports.ts';
import { type IssuedKey, issueKey } from '../unit/identity/api-key-support.ts';

/** A directory with the means to change what it holds, as an operator would. */
export interface OpenDirectory {
  readonly directory: KeyDirectory;
  /** Puts these entries in the place of all there were. */
  write(entries: readonly KeyEntry[]): Promise<void>;
  close(): Promise<void>;
}

/** What every directory promises, against the real thing and with real clocks. */
export function keyDirectorySuite(openDirectory: () => Promise<OpenDirectory>): void {
  async function holding(...entries: readonly KeyEntry[]) {
    const opened = await openDirectory();
    onTestFinished(() => opened.close());
    await opened.write(entries);
    await opened.directory.start();
    return opened;
  }

  const judge = async (directory: KeyDirectory, { text }: IssuedKey, address?: string) =>
    verifyApiKey(directory, text, systemClock.now(), () => address);

  const [one, two] = [
    issueKey({ subject: 'robot', models: ['m-1', 'm-2'] }),
    issueKey({ tenant: 'tenant-b', roles: [] }),
  ];

  test('a key is found with all that was written of it, another id is none', async () => {
    const { directory } = await holding(one.entry, two.entry);
    expect(directory.fault(systemClock.now())).toBeUndefined();
    expect(await judge(directory, one)).toMatchObject({
      kind: 'held',
      record: {
        id: one.id,
        tenant: 'tenant-a',
        tier: 'premium',
        roles: ['inference'],
        subject: 'robot',
        models: ['m-1', 'm-2'],
      },
    });
    expect(await judge(directory, two)).toMatchObject({ kind: 'held', record: { tenant: 'tenant-b', roles: [] } });
    expect(await judge(directory, issueKey())).toMatchObject({ kind: 'refused', code: 'invalid_credential' });
  });

  test.each([
    ['expired', { expires: '2020-01-01T00:00:00Z' }, 'the key is expired'],
    ['early', { not_before: '2100-01-01T00:00:00Z' }, 'the key is not valid yet'],
    ['revoked', { revoked: true }, 'the key is revoked'],
    [
      'from elsewhere',
      { addresses: ['10.0.0.0/8', '2001:db8::/32'] },
      'the key is used from an address that is not allowed',
    ],
  ])('a key that is %s does not hold', async (_name, change, cause) => {
    const key = issueKey(change);
    const { directory } = await holding(key.entry);
    expect(await judge(directory, key, '192.0.2.1')).toMatchObject({ kind: 'refused', cause, keyId: key.id });
  });

  test.each([
    ['revocation', [{ ...one.entry, revoked: true }], 'the key is revoked'],
    ['removal', [], 'there is no such API key'],
    ['end', [{ ...one.entry, expires: '2020-01-01T00:00:00Z' }], 'the key is expired'],
  ])('the %s of a key in use is in force within a second', async (_name, entries, cause) => {
    const opened = await holding(one.entry, two.entry);
    const { directory } = opened;
    expect(await judge(directory, one)).toMatchObject({ kind: 'held' });
    await opened.write([...entries, two.entry]);
    const writtenAtMs = performance.now();
    const refused = await eventually(async () => {
      const judged = await judge(directory, one);
      return judged.kind === 'refused' ? judged : undefined;
    }, 5000);
    expect(refused).toMatchObject({ code: 'invalid_credential', cause });
    expect(performance.now() - writtenAtMs).toBeLessThan(1000);
    expect(await judge(directory, two)).toMatchObject({ kind: 'held' });
  });

  test('a key that was asked for before it was made is found within a second after', async () => {
    const opened = await holding(two.entry);
    const { directory } = opened;
    expect(await judge(directory, one)).toMatchObject({ kind: 'refused' });
    await opened.write([one.entry, two.entry]);
    const held = await eventually(async () => {
      const judged = await judge(directory, one);
      return judged.kind === 'held' ? judged : undefined;
    }, 5000);
    expect(held.record.id).toBe(one.id);
  });
}
