import type { StoredObject } from './object-store.ts';

/** One page of `ListObjectsV2`. */
export interface Listing {
  readonly objects: readonly StoredObject[];
  /** Asks for the next page; absent on the last one. */
  readonly nextToken?: string;
}

/**
 * Reads the XML of `ListObjectsV2` (S3 API reference) as S3 and its likes write it: no attributes within, no CDATA, no
 * comments. Throws an Error for anything else, before a key of it is believed.
 */
export function parseListing(xml: string): Listing {
  if (!/<ListBucketResult[\s>]/.test(xml) || !xml.trimEnd().endsWith('</ListBucketResult>')) {
    throw new Error('the S3 endpoint sent no whole listing');
  }
  if (xml.includes('<![') || xml.includes('<!--') || xml.includes('<!DOCTYPE')) {
    throw new Error('the S3 endpoint sent a listing of a form that is not read');
  }
  const objects = xml
    .split('<Contents>')
    .slice(1)
    .map((rest) => {
      const content = rest.slice(0, Math.max(0, rest.indexOf('</Contents>')));
      const key = textOf(content, 'Key');
      const size = textOf(content, 'Size') ?? '';
      if (key === undefined || !/^\d{1,15}$/.test(size)) throw new Error('the S3 endpoint listed a file without a key');
      return { key, sizeBytes: Number(size) };
    });
  const outside = xml.slice(0, xml.indexOf('<Contents>') === -1 ? undefined : xml.indexOf('<Contents>'));
  const after = xml.slice(xml.lastIndexOf('</Contents>') + 1);
  if ((textOf(outside, 'IsTruncated') ?? textOf(after, 'IsTruncated')) !== 'true') return { objects };
  const nextToken = textOf(outside, 'NextContinuationToken') ?? textOf(after, 'NextContinuationToken');
  if (nextToken === undefined) throw new Error('the S3 endpoint cut a listing and named no next page');
  return { objects, nextToken };
}

function textOf(xml: string, element: string): string | undefined {
  const start = xml.indexOf(`<${element}>`);
  if (start === -1) return undefined;
  const from = start + element.length + 2;
  const end = xml.indexOf(`</${element}>`, from);
  return end === -1 ? undefined : unescapeXml(xml.slice(from, end));
}

const NAMED: ReadonlyMap<string, string> = new Map([
  ['amp', '&'],
  ['lt', '<'],
  ['gt', '>'],
  ['quot', '"'],
  ['apos', "'"],
]);

function unescapeXml(text: string): string {
  return text.replaceAll(/&(?:#x([0-9A-Fa-f]{1,6})|#(\d{1,7})|([a-z]{2,4}));/g, (all, hex, decimal, name) => {
    if (name !== undefined) return NAMED.get(name) ?? all;
    const point = Number.parseInt(hex ?? decimal, hex === undefined ? 10 : 16);
    return point <= 0x10ffff ? String.fromCodePoint(point) : all;
  });
}
