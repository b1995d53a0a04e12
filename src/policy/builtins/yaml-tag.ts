import { toBigInt } from '../values/number.ts';
import { decodeBase64 } from './base64.ts';
import { YAML_TAG, type YamlScalar } from './yaml-parse.ts';
import { resolvePlain, type YamlResolved } from './yaml-scalar.ts';

/** A tag with `!!` for the prefix of YAML's own; that of a mapping's key `<<` is `!!merge`. */
export function shortTag(tag: string): string {
  return tag.startsWith(YAML_TAG) ? `!!${tag.slice(YAML_TAG.length)}` : tag;
}

/** Whether it merges others into a mapping, where it is a key. */
export function isMergeKey({ text, plain, tag }: YamlScalar): boolean {
  return text === '<<' && (tag === '' || tag === '!' ? plain : shortTag(tag) === '!!merge');
}

/** What the scalar is; throws a `SyntaxError` where its tag does not fit. */
export function resolveScalar({ text, plain, tag: written }: YamlScalar): YamlResolved {
  const tag = written === '!' ? '' : shortTag(written);
  if (tag === '') return plain && text !== '<<' ? resolvePlain(text) : { tag: '!!str', value: text };
  if (tag === '!!binary') return { tag: '!!str', value: binary(text) };
  if (!TAGS_OF_VALUES.has(tag)) return { tag: '!!str', value: text };
  const resolved = resolvePlain(text);
  if (resolved.tag === tag) return resolved;
  if (tag === '!!float' && resolved.tag === '!!int') {
    const integer = toBigInt(resolved.value);
    if (integer !== undefined && integer < 2n ** 63n) return { tag: '!!float', value: Number(integer) };
  }
  throw new SyntaxError(`yaml: a value that its tag \`${tag}\` does not fit`);
}

/** What else has a tag is a text. */
const TAGS_OF_VALUES: ReadonlySet<string> = new Set(['!!bool', '!!int', '!!float', '!!null', '!!timestamp']);

function binary(text: string): string {
  const bytes = decodeBase64(text, 'standard');
  if (typeof bytes === 'number') throw new SyntaxError('yaml: binary data that are no base64');
  return bytes.toString('utf8');
}
