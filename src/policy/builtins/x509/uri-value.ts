import { isIP } from 'node:net';
import type { PlainObject } from '../../values/value.ts';
import { parseUri } from '../uri-parse.ts';

/** A URI of a certificate. */
export interface CertificateUri {
  /** Host and port as they are written. */
  readonly host: string;
  /** As Go's `url.URL` is written as JSON. */
  readonly value: PlainObject;
  /** As Go puts it together again. */
  readonly text: string;
}

/** Why a text is no URI reference. */
export interface UriMistake {
  readonly mistake: string;
}

const SCHEME = /^[A-Za-z][A-Za-z0-9+.-]*:/;

/** The parts of a URI reference in ASCII. */
export function readUri(uri: string): CertificateUri | UriMistake {
  const parsed = parseUri(uri);
  if ('reason' in parsed) return { mistake: parsed.reason };
  const [reference = ''] = uri.split('#', 1);
  const { scheme, rawQuery } = parsed;
  const behindScheme = scheme === '' ? reference : reference.slice((SCHEME.exec(reference)?.[0] ?? '').length);
  const [rest = ''] = behindScheme.split('?', 1);
  const forceQuery = behindScheme.endsWith('?') && behindScheme.indexOf('?') === behindScheme.length - 1;
  const rooted = rest.startsWith('/');
  const opaque = scheme !== '' && !rooted ? rest : '';
  const hasAuthority = rest.startsWith('//') && (scheme !== '' || !rest.startsWith('///'));
  const authority = hasAuthority ? (rest.slice(2).split('/', 1)[0] ?? '') : '';
  const at = authority.lastIndexOf('@');
  const host = percentDecode(authority.slice(at + 1));
  const user = at < 0 ? undefined : writtenUser(authority.slice(0, at));
  const omitHost = scheme !== '' && rooted && !hasAuthority;
  const writtenPath = opaque !== '' ? '' : hasAuthority ? rest.slice(2 + authority.length) : rest;
  const path = fromBytes(parsed.path);
  const escapedPath = percentEncode(path, UNLIKE_PATH);
  const fragment = fromBytes(parsed.fragment);
  const writtenFragment = uri.slice(reference.length + 1);
  const escapedFragment = percentEncode(fragment, UNLIKE_FRAGMENT);
  const value = {
    ForceQuery: forceQuery,
    Fragment: fragment,
    Host: host,
    OmitHost: omitHost,
    Opaque: opaque,
    Path: path,
    RawFragment: writtenFragment === escapedFragment ? '' : writtenFragment,
    RawPath: writtenPath === escapedPath ? '' : writtenPath,
    RawQuery: rawQuery,
    Scheme: scheme,
    User: user === undefined ? null : {},
  };
  const shownPath = path === '*' || VALID_PATH.test(writtenPath) ? writtenPath : escapedPath;
  const shownFragment = VALID_FRAGMENT.test(writtenFragment) ? writtenFragment : escapedFragment;
  const origin =
    omitHost || (host === '' && path === '' && user === undefined) || !hasAuthority
      ? ''
      : `//${user === undefined ? '' : `${user}@`}${host.replaceAll('%', '%25')}`;
  const text = [
    scheme === '' ? '' : `${scheme}:`,
    opaque === '' ? `${origin}${shownPath}` : opaque,
    forceQuery || rawQuery !== '' ? `?${rawQuery}` : '',
    fragment === '' ? '' : `#${shownFragment}`,
  ].join('');
  return { host, value, text };
}

/** The host without its port, in lower case; `undefined` for an address or what is no host. */
export function uriDomain({ host }: CertificateUri): string | undefined {
  const lower = host.toLowerCase();
  const port = /^([^:]*):[^:]*$/.exec(lower);
  const domain = port === null ? lower : (port[1] ?? '');
  return domain === '' || domain.includes(':') || domain.startsWith('[') || isIP(domain) !== 0 ? undefined : domain;
}

const UNLIKE_PATH = /[^A-Za-z0-9$&+,./:;=@_~-]/g;
const UNLIKE_FRAGMENT = /[^A-Za-z0-9$&+,./:;=@_~!()*?-]/g;
const UNLIKE_USER = /[^A-Za-z0-9$&+,.;=_~-]/g;
const VALID_PATH = /^[A-Za-z0-9$&+,./:;=@_~!'()*[\]%-]*$/;
const VALID_FRAGMENT = /^[A-Za-z0-9$&+,./:;=@_~!'()*?[\]%-]*$/;

function percentEncode(text: string, unlike: RegExp): string {
  return Buffer.from(text)
    .toString('latin1')
    .replace(unlike, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}

/** What was checked by {@link parseUri} already. */
function percentDecode(text: string): string {
  const bytes = text.replace(/%[0-9A-Fa-f]{2}/g, (escaped) =>
    String.fromCharCode(Number.parseInt(escaped.slice(1), 16)),
  );
  return fromBytes(bytes);
}

function fromBytes(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

function writtenUser(written: string): string {
  const cut = written.indexOf(':');
  const name = percentEncode(percentDecode(cut < 0 ? written : written.slice(0, cut)), UNLIKE_USER);
  return cut < 0 ? name : `${name}:${percentEncode(percentDecode(written.slice(cut + 1)), UNLIKE_USER)}`;
}
