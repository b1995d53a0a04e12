import { toRegoText } from '../values/text.ts';
import { type Builtin, type BuiltinContext, type Builtins, builtinFailure, textOperand } from './builtin.ts';

/** OPA's `semver` family (semver.org 2.0.0; a leading `v` is allowed). */
export const SEMVER_BUILTINS: Builtins = new Map<string, Builtin>([
  ['semver.is_valid', (_context, version) => typeof version === 'string' && parseVersion(version) !== undefined],
  [
    'semver.compare',
    (context, a, b) => {
      const left = textOperand(context, a, 1);
      const right = textOperand(context, b, 2);
      return compareVersions(versionOperand(context, left, 1), versionOperand(context, right, 2));
    },
  ],
]);

function versionOperand(context: BuiltinContext, text: string, position: number): Version {
  const version = parseVersion(text);
  if (version !== undefined) return version;
  throw builtinFailure(context, `operand ${position}: string ${toRegoText(text)} is not a valid SemVer`);
}

interface Version {
  readonly numbers: readonly bigint[];
  readonly preRelease: readonly string[];
}

const NUMERIC = /^(0|[1-9][0-9]*)$/;
const IDENTIFIER = /^[0-9A-Za-z-]+$/;
const INT64_MAX = 2n ** 63n - 1n;
const MOST_DIGITS = 19;

function parseVersion(text: string): Version | undefined {
  const [withoutMeta, meta] = cut(text.startsWith('v') ? text.slice(1) : text, '+');
  if (meta !== undefined && !meta.split('.').every((part) => IDENTIFIER.test(part))) return undefined;
  const [core, preRelease] = cut(withoutMeta, '-');
  const identifiers = preRelease?.split('.') ?? [];
  // A numeric identifier has no leading zero.
  if (!identifiers.every((part) => IDENTIFIER.test(part) && (!/^[0-9]+$/.test(part) || NUMERIC.test(part)))) {
    return undefined;
  }
  const parts = core.split('.');
  if (parts.length !== 3 || !parts.every((part) => NUMERIC.test(part))) return undefined;
  if (parts.some((part) => part.length > MOST_DIGITS)) return undefined;
  const numbers = parts.map(BigInt);
  return numbers.some((number) => number > INT64_MAX) ? undefined : { numbers, preRelease: identifiers };
}

function cut(text: string, mark: string): readonly [string, string | undefined] {
  const at = text.indexOf(mark);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function compareVersions(left: Version, right: Version): number {
  for (const [position, number] of left.numbers.entries()) {
    const order = compare(number, right.numbers[position] ?? 0n);
    if (order !== 0) return order;
  }
  if (left.preRelease.length === 0 || right.preRelease.length === 0) {
    return compare(left.preRelease.length === 0 ? 1 : 0, right.preRelease.length === 0 ? 1 : 0);
  }
  for (const [position, identifier] of left.preRelease.entries()) {
    const other = right.preRelease[position];
    if (other === undefined) return 1;
    const order = compareIdentifiers(identifier, other);
    if (order !== 0) return order;
  }
  return left.preRelease.length < right.preRelease.length ? -1 : 0;
}

function compareIdentifiers(left: string, right: string): number {
  const isLeftNumeric = NUMERIC.test(left);
  const isRightNumeric = NUMERIC.test(right);
  if (isLeftNumeric !== isRightNumeric) return isLeftNumeric ? -1 : 1;
  return isLeftNumeric ? compareDigits(left, right) : compare(left, right);
}

/** Without leading zeros the longer one is the greater. */
function compareDigits(left: string, right: string): number {
  return compare(left.length, right.length) || compare(left, right);
}

function compare<T extends string | number | bigint>(left: T, right: T): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
