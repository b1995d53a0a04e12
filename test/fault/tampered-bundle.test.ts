import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, test } from 'vitest';
import { DEFAULT_ARCHIVE_LIMITS, unpackTar } from '../../src/bundle/archive.ts';
import { signBundle } from '../../src/bundle/signing/bundle-signature.ts';
import { gzipStored } from '../../src/bundle/signing/canonical-form.ts';
import { createHighWaterMark } from '../../src/bundle/signing/high-water-mark.ts';
import type { Download } from '../../src/bundle/source.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { caseCount, createRandom, type Random, seedOf } from '../support/seed.ts';
import { createSignedAgent } from '../support/signed-agent.ts';
import { claimsOf, newSigner, SIGNED_AT_S, signedDownload } from '../support/signed-bundles.ts';
import { HOSTILE } from '../unit/bundle/hostile-archives.ts';
import { SHIPPED } from '../unit/bundle/shipped.ts';

/**
 * SECURITY row 12: an agent decides under load by a signed bundle while it is offered others in which one byte was
 * changed, and archives that no honest writer makes.
 */
const RSS_BOUND_BYTES = 64 * 2 ** 20;

setFlagsFromString('--expose-gc');
// V8's own, which that flag puts into new contexts.
const collectGarbage = runInNewContext('gc') as () => void;

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

describe.each(['jws', 'opa'] as const)(
  'a tampered bundle is refused, and the old one serves on: trust by %s',
  (form) => {
    test('whatever byte is flipped', async () => {
      const random = createRandom(seedOf(`tampered bundle, ${form}`));
      const agent = await agentWith(form);
      const counts = new Map<string, number>();
      for (const [kind, flips] of kindsOf(agent.download, form)) {
        for (let at = 0; at < caseCount(form === 'jws' ? 100 : 60); at += 1)
          await refused(agent, kind, flips(random), counts);
      }
      await agent.report('flips', counts);
    });

    test('whatever hostile archive is offered in its place', async () => {
      const agent = await agentWith(form);
      const counts = new Map<string, number>();
      for (const [fault, , bytes] of HOSTILE) {
        await refused(agent, fault, { ...agent.download, bytes }, counts);
      }
      expect(HOSTILE.length).toBeGreaterThanOrEqual(40);
      await agent.report('hostile archives', counts);
    });
  },
);

test('a hostile archive that its author was deceived to sign is refused by the reader', async () => {
  const agent = await agentWith('jws');
  const counts = new Map<string, number>();
  for (const [fault, , bytes] of HOSTILE) {
    const signature = signBundle(bytes, claimsOf({ version: 8 }), agent.signer);
    await refused(agent, fault, { bytes, signature }, counts);
  }
  // What is believed is unpacked, up to the reader's own bound: chunks, and then the whole.
  await agent.report('hostile archives, signed', counts, 2 * DEFAULT_ARCHIVE_LIMITS.maxTotalBytes + RSS_BOUND_BYTES);
});

type Agent = Awaited<ReturnType<typeof agentWith>>;

async function agentWith(form: 'jws' | 'opa') {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-tampered-'));
  const signer = newSigner('author');
  const keyFile = join(folder, 'author.public.pem');
  await writeFile(keyFile, signer.publicPem);
  const clock = createManualClock({ epochMs: SIGNED_AT_S * 1000 });
  const agent = createSignedAgent({
    trust: { keys: { author: keyFile }, scope: 'prod', signature: form },
    mark: createHighWaterMark({ folder, clock }),
    clock,
  });
  open.push(async () => {
    await agent.stop();
    await rm(folder, { recursive: true, force: true });
  });
  const download = signedDownload(SHIPPED, signer);
  expect(await agent.offer(download)).toEqual([]);
  const inForce = agent.inForce();
  const written = await readdir(folder);
  const around = await readdir(process.cwd());
  // The test's own garbage, of packing and flipping, is none of the agent's; nor is what the first decisions make V8 take.
  for (let round = 0; round < 150; round += 1) {
    await agent.offer({ ...download, signature: '', bytes: Buffer.alloc(10) });
    if (round % 8 === 0) collectGarbage();
  }
  collectGarbage();
  const rssBefore = process.memoryUsage.rss();
  let rssPeak = rssBefore;
  let offers = 0;
  return {
    ...agent,
    download,
    signer,
    isUnchanged: () => {
      rssPeak = Math.max(rssPeak, process.memoryUsage.rss());
      offers += 1;
      if (offers % 4 === 0) collectGarbage();
      return agent.inForce() === inForce;
    },
    report: async (what: string, counts: ReadonlyMap<string, number>, rssBound = RSS_BOUND_BYTES) => {
      const { asked, failed } = agent.figures();
      const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
      const rss = rssPeak - rssBefore;
      console.info(
        `${what}, ${form}: ${total} of ${counts.size} kinds refused, ${asked} decisions, ${failed} failed, RSS + ${(rss / 2 ** 20).toFixed(1)} MB`,
      );
      expect(failed).toBe(0);
      expect(asked).toBeGreaterThan(total);
      expect(rss).toBeLessThan(rssBound);
      expect(await readdir(folder)).toEqual(written);
      expect(await readdir(process.cwd())).toEqual(around);
      // It was the bytes: the untouched ones are still believed.
      expect(await agent.offer(download)).toEqual([]);
    },
  };
}

async function refused(agent: Agent, kind: string, download: Download, counts: Map<string, number>): Promise<void> {
  const refusals = await agent.offer(download);
  await agent.decided();
  if (refusals.length !== 1 || !agent.isUnchanged()) throw new Error(`not refused: ${kind} ${refusals.join()}`);
  counts.set(kind, (counts.get(kind) ?? 0) + 1);
}

type Flips = readonly (readonly [kind: string, flip: (random: Random) => Download])[];

/** Every kind of byte of a download, and how one of it is flipped. */
function kindsOf(download: Download, form: 'jws' | 'opa'): Flips {
  const { bytes, signature = '' } = download;
  const end = bytes.length;
  const flipFile = (from: number, to: number) => (random: Random) => ({
    ...download,
    bytes: flip(bytes, from + random.below(to - from), random),
  });
  // In the tar, packed anew with a right checksum, as somebody would who knows the format; stored, because
  // that is quick.
  const tar = unpackTar(bytes);
  const flipTar = (ranges: readonly Range[]) => (random: Random) => {
    const [from, to] = random.pick(ranges);
    return { ...download, bytes: gzipStored(flip(tar, from + random.below(to - from), random)) };
  };
  const parts = layoutOf(tar);
  return [
    ['gzip header', flipFile(0, 10)],
    ['deflate data', flipFile(10, end - 8)],
    ['last deflate byte', flipFile(end - 9, end - 8)],
    ['gzip checksum', flipFile(end - 8, end - 4)],
    ['gzip length', flipFile(end - 4, end)],
    ['tar header', flipTar(parts.headers)],
    ...HEADER_FIELDS.map(([name, from, to]): Flips[number] => [
      `tar header ${name}`,
      // With a right checksum again.
      (random) => ({ ...download, bytes: gzipStored(flipField(tar, random.pick(parts.headers)[0], from, to, random)) }),
    ]),
    ['padding', flipTar(parts.padding)],
    ['end mark', flipTar(parts.end)],
    ...parts.members.map(([name, range]): Flips[number] => [`member ${name}`, flipTar([range])]),
    ...(form === 'jws' ? signatureFlips(download, signature) : []),
  ];
}

function signatureFlips(download: Download, signature: string): Flips {
  const [header = '', payload = '', value = ''] = signature.split('.');
  const starts = [0, header.length + 1, header.length + payload.length + 2];
  return (['header', 'payload', 'value'] as const).map((name, index): Flips[number] => {
    const length = [header, payload, value][index]?.length ?? 0;
    const from = starts[index] ?? 0;
    return [
      `signature ${name}`,
      (random) => {
        const text = flip(Buffer.from(signature), from + random.below(length), random);
        return { ...download, signature: Buffer.from(text).toString('latin1') };
      },
    ];
  });
}

type Range = readonly [from: number, to: number];

const HEADER_FIELDS = [
  ['name', 0, 100],
  ['mode', 100, 108],
  ['owner', 108, 124],
  ['size', 124, 136],
  ['time', 136, 148],
  ['checksum', 148, 156],
  ['kind', 156, 157],
  ['link', 157, 257],
  ['magic', 257, 265],
  ['names and devices', 265, 345],
  ['prefix and tail', 345, 512],
] as const;

function layoutOf(tar: Uint8Array) {
  const headers: Range[] = [];
  const padding: Range[] = [];
  const members: (readonly [name: string, range: Range])[] = [];
  let at = 0;
  while (tar[at] !== 0) {
    headers.push([at, at + 512]);
    const name = Buffer.from(tar.subarray(at, at + 100))
      .toString('latin1')
      .replace(/\0.*$/s, '');
    const size = Number.parseInt(Buffer.from(tar.subarray(at + 124, at + 135)).toString('latin1'), 8);
    const from = at + 512;
    const next = from + Math.ceil(size / 512) * 512;
    members.push([name, [from, from + size]]);
    if (next > from + size) padding.push([from + size, next]);
    at = next;
  }
  return { headers, padding, members, end: [[at, tar.length]] as readonly Range[] };
}

function flip(bytes: Uint8Array, at: number, random: Random): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8));
  return copy;
}

function flipField(tar: Uint8Array, header: number, from: number, to: number, random: Random): Uint8Array {
  const copy = flip(tar, header + from + random.below(to - from), random);
  if (from === 148) return copy;
  copy.fill(0x20, header + 148, header + 156);
  const sum = copy.subarray(header, header + 512).reduce((total, byte) => total + byte, 0);
  copy.set(Buffer.from(`${sum.toString(8).padStart(6, '0')}\0 `), header + 148);
  return copy;
}
