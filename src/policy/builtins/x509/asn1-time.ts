import { type DerReader, TAG } from './der.ts';
import { fail } from './x509-error.ts';

export interface CertificateTime {
  /** As RFC 3339, in the zone that it is written in. */
  readonly text: string;
  readonly epochMs: number;
}

const UTC = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?(Z|[+-]\d{4})$/;
const GENERALIZED = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(Z|[+-]\d{4})$/;

/** A UTCTime or GeneralizedTime. Throws an `X509Error` for anything else. */
export function readTime(der: DerReader): CertificateTime {
  if (der.peek(TAG.utcTime)) return toTime(UTC, der.content(TAG.utcTime)) ?? fail('x509: malformed UTCTime');
  if (der.peek(TAG.generalizedTime)) {
    return toTime(GENERALIZED, der.content(TAG.generalizedTime)) ?? fail('x509: malformed GeneralizedTime');
  }
  return fail('x509: unsupported time format');
}

function toTime(pattern: RegExp, content: Buffer | undefined): CertificateTime | undefined {
  const match = content && pattern.exec(content.toString('latin1'));
  if (!match) return undefined;
  const [, yearDigits = '', month = '', day = '', hour = '', minute = '', second = '00', zone = ''] = match;
  const year = yearDigits.length === 4 ? yearDigits : `${Number(yearDigits) < 50 ? '20' : '19'}${yearDigits}`;
  // Go writes UTC as `Z` only.
  if (/^[+-]0000$/.test(zone)) return undefined;
  const local = `${year}-${month}-${day}T${hour}:${minute}:${second}`;
  const localMs = Date.parse(`${local}Z`);
  // What Date.parse rolls over, as February 30, or hour 24, is no time.
  if (!Number.isFinite(localMs) || new Date(localMs).toISOString().slice(0, 19) !== local) return undefined;
  if (zone === 'Z') return { text: `${local}Z`, epochMs: localMs };
  const hours = zone.slice(1, 3);
  const minutes = zone.slice(3);
  if (Number(hours) > 24 || Number(minutes) >= 60) return undefined;
  const offsetMs = (zone.startsWith('-') ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000;
  return { text: `${local}${zone.slice(0, 3)}:${minutes}`, epochMs: localMs - offsetMs };
}
