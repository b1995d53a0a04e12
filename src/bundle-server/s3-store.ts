import { createHash } from 'node:crypto';
import { AwsClient } from 'aws4fetch';
import { checkKey, type ObjectStore, type StoredObject } from './object-store.ts';
import { parseListing } from './s3-listing.ts';

export interface S3StoreOptions {
  /** `https://s3.eu-central-1.amazonaws.com`; the bucket is the first step of the path. */
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  /** What every key begins with; empty, or ending in `/`. */
  readonly prefix: string;
  readonly access_key_id: string;
  readonly secret_access_key: string;
  readonly timeout_ms: number;
}

/** A bucket behind S3's HTTP interface (REST API 2006-03-01), signed with AWS Signature Version 4. */
export function createS3Store(options: S3StoreOptions): ObjectStore {
  const { endpoint, region, bucket, prefix, timeout_ms: timeoutMs } = options;
  const client = new AwsClient({
    accessKeyId: options.access_key_id,
    secretAccessKey: options.secret_access_key,
    service: 's3',
    region,
    retries: 2,
  });
  const root = `${endpoint.replace(/\/$/, '')}/${bucket}`;
  const urlOf = (key: string): string => `${root}/${prefix}${checkKey(key)}`;

  async function ask(url: string, init: RequestInit): Promise<Response> {
    try {
      return await client.fetch(url, { ...init, redirect: 'manual', signal: AbortSignal.timeout(timeoutMs) });
    } catch (error) {
      throw new Error('the S3 endpoint does not answer', { cause: error });
    }
  }

  async function put(key: string, bytes: Uint8Array, condition: Readonly<Record<string, string>>): Promise<number> {
    const response = await ask(urlOf(key), {
      method: 'PUT',
      // A copy: the body of a request wants bytes that no other thread can change.
      body: new Uint8Array(bytes),
      headers: {
        'content-type': 'application/octet-stream',
        'x-amz-content-sha256': createHash('sha256').update(bytes).digest('hex'),
        ...condition,
      },
    });
    await response.body?.cancel();
    return response.status;
  }

  return {
    list: async () => {
      const found: StoredObject[] = [];
      let token: string | undefined;
      do {
        const query = new URLSearchParams({ 'list-type': '2', prefix, 'max-keys': '1000' });
        if (token !== undefined) query.set('continuation-token', token);
        const response = await ask(`${root}?${query.toString()}`, { method: 'GET' });
        const bytes = await readBounded(response, MAX_LISTING_BYTES);
        if (response.status !== 200) throw answered('listing', response.status);
        const page = parseListing(Buffer.from(bytes).toString('utf8'));
        for (const { key, sizeBytes } of page.objects) {
          // A key that ends in a slash stands for a folder, in stores that have such.
          if (key.startsWith(prefix) && !key.endsWith('/')) found.push({ key: key.slice(prefix.length), sizeBytes });
        }
        token = page.nextToken;
      } while (token !== undefined);
      return found;
    },
    get: async (key, maxBytes) => {
      const response = await ask(urlOf(key), { method: 'GET' });
      if (response.status === 200) return readBounded(response, maxBytes);
      await response.body?.cancel();
      if (response.status === 404) return undefined;
      throw answered('reading', response.status);
    },
    create: async (key, bytes) => {
      const status = await put(key, bytes, { 'if-none-match': '*' });
      if (status === 200) return 'created';
      // 409: somebody else makes the same file at this moment.
      if (status === 412 || status === 409) return 'exists';
      throw answered('writing', status);
    },
    replace: async (key, bytes) => {
      const status = await put(key, bytes, {});
      if (status !== 200) throw answered('writing', status);
    },
  };
}

const MAX_LISTING_BYTES = 4 * 2 ** 20;

function answered(what: string, status: number): Error {
  return new Error(`the S3 endpoint answered ${what} with ${status}`);
}

async function readBounded(response: Response, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of response.body ?? []) {
    total += chunk.length;
    if (total > maxBytes) throw new Error(`the S3 endpoint sends more than the ${maxBytes} bytes expected`);
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}
