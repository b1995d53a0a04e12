import { isIPv6 } from 'node:net';

/** The parts of a URI reference, decoded but for the raw ones; '' for what is missing. Characters are bytes. */
export interface Uri {
  readonly scheme: string;
  readonly hostname: string;
  readonly port: string;
  readonly path: string;
  /** As it was written, where writing `path` in the usual way would give another text. */
  readonly rawPath: string;
  readonly rawQuery: string;
  readonly fragment: string;
}

/** Why a text is no URI reference, as Go says it: the reason, what it quotes, and what it says behind that. */
export interface UriFault {
  readonly part: 'fragment' | 'other';
  readonly reason: string;
  readonly quoted?: string;
  readonly behind?: string;
}

/** Go's `url.Parse`. */
export function parseUri(text: string): Uri | UriFault {
  const cut = text.indexOf('#');
  const uri = parseReference(cut < 0 ? text : text.slice(0, cut));
  if ('reason' in uri || cut < 0) return uri;
  const fragment = decode(text.slice(cut + 1), 'rest');
  return typeof fragment === 'string' ? { ...uri, fragment } : { ...fragment, part: 'fragment' };
}

const NO_PARTS: Uri = { scheme: '', hostname: '', port: '', path: '', rawPath: '', rawQuery: '', fragment: '' };

const SCHEME = /^[A-Za-z][A-Za-z0-9+.-]*:/;

function parseReference(text: string): Uri | UriFault {
  if (hasControl(text)) return fault('net/url: invalid control character in URL');
  if (text === '*') return { ...NO_PARTS, path: '*', rawPath: '*' };
  if (text.startsWith(':')) return fault('missing protocol scheme');
  const prefix = SCHEME.exec(text)?.[0] ?? '';
  const scheme = prefix.slice(0, -1).toLowerCase();
  let rest = text.slice(prefix.length);
  let rawQuery = '';
  const mark = rest.indexOf('?');
  if (mark >= 0) {
    rawQuery = rest.slice(mark + 1);
    rest = rest.slice(0, mark);
  }
  if (!rest.startsWith('/')) {
    // A path without a root behind a scheme is opaque: `mailto:a@b.example`.
    if (scheme !== '') return { ...NO_PARTS, scheme, rawQuery };
    if ((rest.split('/', 1)[0] ?? '').includes(':')) {
      return fault('first path segment in URL cannot contain colon');
    }
  }
  let host = '';
  if (rest.startsWith('//') && (scheme !== '' || !rest.startsWith('///'))) {
    const slash = rest.indexOf('/', 2);
    const authority = parseAuthority(scheme, slash < 0 ? rest.slice(2) : rest.slice(2, slash));
    if (typeof authority !== 'string') return authority;
    host = authority;
    rest = slash < 0 ? '' : rest.slice(slash);
  }
  const path = decode(rest, 'rest');
  if (typeof path !== 'string') return path;
  const rawPath = rest === escapePath(path) ? path : rest;
  return { ...NO_PARTS, scheme, ...splitPort(host), path, rawPath, rawQuery };
}

function hasControl(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const byte = text.charCodeAt(at);
    if (byte < 0x20 || byte === 0x7f) return true;
  }
  return false;
}

function fault(reason: string, quoted?: string, behind?: string): UriFault {
  return {
    part: 'other',
    reason,
    ...(quoted === undefined ? {} : { quoted }),
    ...(behind === undefined ? {} : { behind }),
  };
}

const USER = /^[A-Za-z0-9._:~!$&'()*+,;=%@-]*$/;

/** The host and its port; who asks is looked at, but not kept. */
function parseAuthority(scheme: string, authority: string): string | UriFault {
  const at = authority.lastIndexOf('@');
  const host = parseHost(scheme, authority.slice(at + 1));
  if (typeof host !== 'string' || at < 0) return host;
  const user = authority.slice(0, at);
  if (!USER.test(user)) return fault('net/url: invalid userinfo');
  const name = decode(user.includes(':') ? user.slice(0, user.indexOf(':')) : user, 'rest');
  if (typeof name !== 'string') return name;
  const password = decode(user.includes(':') ? user.slice(user.indexOf(':') + 1) : '', 'rest');
  return typeof password === 'string' ? host : password;
}

const PORT = /^(?::[0-9]*)?$/;

function parseHost(scheme: string, host: string): string | UriFault {
  const open = host.lastIndexOf('[');
  if (open > 0) return fault('invalid IP-literal');
  if (open === 0) return parseLiteral(host);
  const first = host.indexOf(':');
  if (first >= 0) {
    // Other schemes may list several hosts with their ports.
    const port = host.slice(scheme === 'http' || scheme === 'https' ? first : host.lastIndexOf(':'));
    if (!PORT.test(port)) return fault('invalid port ', port, ' after host');
  }
  return decode(host, 'host');
}

/** `[2001:db8::1]:80`, `[fe80::1%25en0]`. */
function parseLiteral(host: string): string | UriFault {
  const close = host.lastIndexOf(']');
  if (close < 0) return fault("missing ']' in host");
  const port = host.slice(close + 1);
  if (!PORT.test(port)) return fault('invalid port ', port, ' after host');
  const inner = host.slice(1, close);
  const cut = inner.indexOf('%25');
  const before = decode(cut < 0 ? inner : inner.slice(0, cut), 'host');
  if (typeof before !== 'string') return before;
  const behind = cut < 0 ? '' : decode(inner.slice(cut), 'zone');
  if (typeof behind !== 'string') return behind;
  const name = before + behind;
  const zone = name.indexOf('%');
  if (!isIPv6(zone < 0 ? name : name.slice(0, zone)) || zone === name.length - 1) {
    return IPV4.test(name)
      ? fault('invalid IP-literal')
      : fault('invalid host: ParseAddr(', name, '): unable to parse IP');
  }
  return `[${name}]${port}`;
}

const IPV4 = /^(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:[.](?!$)|$)){4}$/;

function splitPort(host: string): { readonly hostname: string; readonly port: string } {
  const colon = host.lastIndexOf(':');
  const hasPort = colon >= 0 && PORT.test(host.slice(colon));
  const name = hasPort ? host.slice(0, colon) : host;
  return {
    hostname: name.startsWith('[') && name.endsWith(']') ? name.slice(1, -1) : name,
    port: hasPort ? host.slice(colon + 1) : '',
  };
}

const HOST_BYTE = /^[A-Za-z0-9!"$&'()*+,.:;<=>[\]_~-]$/;
const ESCAPE = /^%[0-9A-Fa-f]{2}$/;

/** Decodes `%xx`. In a host only bytes beyond ASCII may be written so, in a zone only what may be in a host. */
function decode(text: string, mode: 'host' | 'zone' | 'rest'): string | UriFault {
  if (mode === 'rest' && !text.includes('%')) return text;
  let decoded = '';
  for (let at = 0; at < text.length; at++) {
    const byte = text.charAt(at);
    if (byte !== '%') {
      if (mode !== 'rest' && byte < '\x80' && !HOST_BYTE.test(byte)) {
        return fault('invalid character ', byte, ' in host name');
      }
      decoded += byte;
      continue;
    }
    const escaped = text.slice(at, at + 3);
    if (!ESCAPE.test(escaped)) return fault('invalid URL escape ', escaped);
    const code = Number.parseInt(escaped.slice(1), 16);
    const meant = String.fromCharCode(code);
    if (escaped !== '%25') {
      if (mode === 'host' && code < 0x80) return fault('invalid URL escape ', escaped);
      if (mode === 'zone' && meant !== ' ' && !HOST_BYTE.test(meant)) return fault('invalid URL escape ', escaped);
    }
    decoded += meant;
    at += 2;
  }
  return decoded;
}

const UNLIKE_PATH = /[^A-Za-z0-9$&+,./:;=@_~-]/g;

function escapePath(path: string): string {
  return path.replace(UNLIKE_PATH, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}
