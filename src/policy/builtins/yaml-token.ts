/** What YAML's text is made of; `line` is where it begins, counted from 0. */
export type YamlToken = { readonly line: number } & (
  | { readonly kind: YamlMark }
  | { readonly kind: 'alias'; readonly name: string }
  | { readonly kind: 'anchor'; readonly name: string }
  /** `handle` is empty for a tag that stands for itself. */
  | { readonly kind: 'tag'; readonly handle: string; readonly suffix: string }
  | { readonly kind: 'scalar'; readonly text: string; readonly plain: boolean }
  | { readonly kind: 'version'; readonly version: string }
  | { readonly kind: 'tag-directive'; readonly handle: string; readonly prefix: string }
);

export type YamlMark =
  | 'stream-end'
  | 'document-start'
  | 'document-end'
  | 'block-sequence-start'
  | 'block-mapping-start'
  | 'block-end'
  | 'flow-sequence-start'
  | 'flow-sequence-end'
  | 'flow-mapping-start'
  | 'flow-mapping-end'
  | 'block-entry'
  | 'flow-entry'
  | 'key'
  | 'value';
