import { yamlFault } from './yaml-cursor.ts';
import { scanYaml } from './yaml-scan.ts';
import type { YamlMark, YamlToken } from './yaml-token.ts';

export type YamlNode = YamlScalar | YamlSequence | YamlMapping | YamlAlias;

export interface YamlScalar {
  readonly kind: 'scalar';
  readonly text: string;
  readonly plain: boolean;
  /** As it is written, with its handle's prefix; empty without one. */
  readonly tag: string;
}

export interface YamlSequence {
  readonly kind: 'sequence';
  readonly items: readonly YamlNode[];
  readonly tag: string;
}

export interface YamlMapping {
  readonly kind: 'mapping';
  readonly pairs: readonly YamlPair[];
  readonly tag: string;
}

export interface YamlAlias {
  readonly kind: 'alias';
  readonly name: string;
  /** What the anchor of that name last stood at; it may be what the alias is in. */
  readonly target: YamlNode;
}

export type YamlPair = readonly [key: YamlNode, value: YamlNode];

export const YAML_TAG = 'tag:yaml.org,2002:';

/**
 * The first document of a text; `undefined` where there is none. Throws a `SyntaxError` where any of its documents is
 * wrong, or deeper than that.
 */
export function parseYaml(text: string, deepest: number): YamlNode | undefined {
  const tokens = scanYaml(text, deepest);
  const anchors = new Map<string, YamlNode>();
  let handles = new Map<string, string>();
  let at = 0;
  let first: YamlNode | undefined;
  for (let isFirst = true; ; isFirst = false) {
    if (!isFirst) while (is('document-end')) skip();
    if (is('stream-end')) return first;
    const node = document(isFirst);
    if (isFirst) first = node;
    if (is('document-end')) skip();
  }

  /** Only the first document needs no `---`. */
  function document(isFirst: boolean): YamlNode {
    handles = new Map();
    if (isFirst && !is('version', 'tag-directive', 'document-start')) {
      addDefaultHandles();
      return node(true, false);
    }
    directives();
    if (!is('document-start')) throw fault('did not find expected <document start>', 0);
    skip();
    return is('version', 'tag-directive', 'document-start', 'document-end', 'stream-end') ? NOTHING : node(true, false);
  }

  function directives(): void {
    let versions = 0;
    for (;;) {
      const found = token();
      if (found.kind === 'version') {
        if (versions++ > 0) throw fault('found a second version', 0);
        if (found.version !== '1.1') throw fault('found an incompatible version', 0);
      } else if (found.kind === 'tag-directive') {
        if (handles.has(found.handle)) throw fault('found a second directive for a tag', 0);
        handles.set(found.handle, found.prefix);
      } else {
        addDefaultHandles();
        return;
      }
      skip();
    }
  }

  function addDefaultHandles(): void {
    if (!handles.has('!')) handles.set('!', '!');
    if (!handles.has('!!')) handles.set('!!', YAML_TAG);
  }

  /** `isBlock` where it may begin on a line of its own; `isValue` where its entries may stand in the column of a key. */
  function node(isBlock: boolean, isValue: boolean): YamlNode {
    const begun = token();
    if (begun.kind === 'alias') {
      skip();
      const target = anchors.get(begun.name);
      if (target === undefined) throw fault('an alias of an unknown anchor', 0);
      return { kind: 'alias', name: begun.name, target };
    }
    let anchor: string | undefined;
    let tag = '';
    // One of each, in any order.
    for (let found = token(); ; found = token()) {
      if (found.kind === 'anchor' && anchor === undefined) anchor = found.name;
      else if (found.kind === 'tag' && tag === '') tag = tagOf(found.handle, found.suffix, begun.line);
      else break;
      skip();
    }
    return content(anchor, tag, isBlock, isValue, begun.line);
  }

  function tagOf(handle: string, suffix: string, line: number): string {
    const prefix = handle === '' ? '' : handles.get(handle);
    if (prefix === undefined || prefix + suffix === '') throw fault('found an undefined handle of a tag', line);
    return prefix + suffix;
  }

  function content(
    anchor: string | undefined,
    tag: string,
    isBlock: boolean,
    isValue: boolean,
    line: number,
  ): YamlNode {
    const found = token();
    const anchored = <T extends YamlNode>(made: T): T => {
      if (anchor !== undefined) anchors.set(anchor, made);
      return made;
    };
    const sequence = (fill: (items: YamlNode[]) => void): YamlNode => {
      const items: YamlNode[] = [];
      const made = anchored({ kind: 'sequence', items, tag });
      fill(items);
      return made;
    };
    const mapping = (fill: (pairs: YamlPair[]) => void): YamlNode => {
      const pairs: YamlPair[] = [];
      const made = anchored({ kind: 'mapping', pairs, tag });
      fill(pairs);
      return made;
    };
    if (isValue && found.kind === 'block-entry') return sequence(entriesOfKey);
    if (found.kind === 'scalar') {
      skip();
      return anchored({ kind: 'scalar', text: found.text, plain: found.plain, tag });
    }
    if (found.kind === 'flow-sequence-start') return sequence(flowSequence);
    if (found.kind === 'flow-mapping-start') return mapping(flowMapping);
    if (isBlock && found.kind === 'block-sequence-start') return sequence(blockSequence);
    if (isBlock && found.kind === 'block-mapping-start') return mapping(blockMapping);
    if (anchor === undefined && tag === '') throw fault('did not find expected node content', line);
    return anchored({ ...NOTHING, tag });
  }

  function blockSequence(items: YamlNode[]): void {
    const { line } = skip();
    while (is('block-entry')) {
      skip();
      items.push(is('block-entry', 'block-end') ? NOTHING : node(true, false));
    }
    end('block-end', "did not find expected '-' indicator", line);
  }

  /** Those that stand in the column of the key whose value they are. */
  function entriesOfKey(items: YamlNode[]): void {
    while (is('block-entry')) {
      skip();
      items.push(is('block-entry', 'key', 'value', 'block-end') ? NOTHING : node(true, false));
    }
  }

  function blockMapping(pairs: YamlPair[]): void {
    const { line } = skip();
    const member = (): YamlNode => {
      skip();
      return is('key', 'value', 'block-end') ? NOTHING : node(true, true);
    };
    while (is('key')) {
      const key = member();
      pairs.push([key, is('value') ? member() : NOTHING]);
    }
    end('block-end', 'did not find expected key', line);
  }

  function flowSequence(items: YamlNode[]): void {
    const { line } = skip();
    for (let isFirst = true; !is('flow-sequence-end'); isFirst = false) {
      if (!isFirst) {
        end('flow-entry', "did not find expected ',' or ']'", line);
        if (is('flow-sequence-end')) break;
      }
      items.push(is('key') ? pair() : node(false, false));
    }
    skip();
  }

  /** A mapping of one member without braces. */
  function pair(): YamlNode {
    skip();
    let key: YamlNode = NOTHING;
    if (!is('value', 'flow-entry', 'flow-sequence-end')) key = node(false, false);
    // As libyaml has it: what follows instead of the key is passed over.
    else skip();
    let value: YamlNode = NOTHING;
    if (is('value')) {
      skip();
      if (!is('flow-entry', 'flow-sequence-end')) value = node(false, false);
    }
    return { kind: 'mapping', pairs: [[key, value]], tag: '' };
  }

  function flowMapping(pairs: YamlPair[]): void {
    const { line } = skip();
    for (let isFirst = true; !is('flow-mapping-end'); isFirst = false) {
      if (!isFirst) {
        end('flow-entry', "did not find expected ',' or '}'", line);
        if (is('flow-mapping-end')) break;
      }
      pairs.push(flowPair());
    }
    skip();
  }

  function flowPair(): YamlPair {
    if (!is('key')) return [node(false, false), NOTHING];
    skip();
    const key = is('value', 'flow-entry', 'flow-mapping-end') ? NOTHING : node(false, false);
    if (!is('value')) return [key, NOTHING];
    skip();
    return [key, is('flow-entry', 'flow-mapping-end') ? NOTHING : node(false, false)];
  }

  function end(kind: YamlMark, otherwise: string, line: number): void {
    if (!is(kind)) throw fault(otherwise, line);
    skip();
  }

  function token(): YamlToken {
    return tokens[at] ?? END;
  }

  function skip(): YamlToken {
    const skipped = token();
    at++;
    return skipped;
  }

  function is(...kinds: readonly YamlToken['kind'][]): boolean {
    return kinds.includes(token().kind);
  }

  function fault(problem: string, line: number): SyntaxError {
    return yamlFault(problem, line, token().line);
  }
}

const END: YamlToken = { kind: 'stream-end', line: 0 };

/** What stands where nothing is written. */
const NOTHING: YamlScalar = { kind: 'scalar', text: '', plain: true, tag: '' };
